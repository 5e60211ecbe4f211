"""Narratives that may be shown and those that may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.narrative import narrative_problem

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'
IMAGE = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    "inner",
    [
        "text",
        "<p><b>Name</b>: &lt;x&gt; &#160; &amp;</p>",
        '<table class="grid"><tr><td colspan="2" style="color: red">1</td></tr></table>',
        '<a href="https://example.org/a?b=c">x</a><a href="Patient/1">y</a><a name="z">z</a>',
        f'<img src="{IMAGE}" alt="x"/>',
        '<p xml:lang="nb" lang="nb">hei</p>',
        '<td style="background-image: url(tbl_bck1.png)">x</td>',
        "x<!-- a remark -->",
        "",
    ],
)
def test_basic_formatting_is_accepted(inner: str) -> None:
    problem = narrative_problem(f"{DIV}{inner}</div>")
    assert problem is None if inner else problem == "txt-2: the narrative has no content."


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        '<p onclick="alert(1)">x</p>',
        '<p ONCLICK="alert(1)">x</p>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href=" java&#10;script:alert(1)">x</a>',
        '<a href="JAVASCRIPT&#58;alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<a href="vbscript:x">x</a>',
        '<a href="file:///etc/passwd">x</a>',
        f'<a href="{IMAGE}">x</a>',
        '<img src="data:image/svg+xml;base64,AAAA"/>',
        '<p style="background: url(http://evil.example/x)">x</p>',
        '<p style="background: u\\72l(http://evil.example/x)">x</p>',
        '<p style="background: URL( javascript:x )">x</p>',
        '<p style="width: expression(alert(1))">x</p>',
        "<p style=\"@import 'x'\">x</p>",
        "<![CDATA[x><img src=x onerror=alert(1)>]]>",
        "<!--><img src=x onerror=alert(1)>-->x",
        "<?php x ?>x",
        "<style>p { color: red }</style>x",
        '<link rel="stylesheet" href="x"/>x',
        '<form action="x"><input/></form>x',
        '<iframe src="https://evil.example"/>x',
        '<svg xmlns="http://www.w3.org/2000/svg"/>x',
        '<p xmlns="urn:other">x</p>',
        "<p>x",
        "&nbsp;",
        "&evil;",
        "a & b",
        "<p a=1>x</p>",
        "\ud800",
        "\x00",
    ],
)
def test_what_could_run_load_or_mislead_is_refused(inner: str) -> None:
    problem = narrative_problem(f"{DIV}{inner}</div>")
    assert problem is not None
    assert problem.startswith("txt-1: ")


@pytest.mark.parametrize(
    "div",
    [
        "text",
        "<div>no namespace</div>",
        '<p xmlns="http://www.w3.org/1999/xhtml">x</p>',
        f"{DIV}x</div>{DIV}y</div>",
        f'<!DOCTYPE div [<!ENTITY x "y">]>{DIV}&x;</div>',
        "",
    ],
)
def test_the_root_must_be_one_xhtml_div(div: str) -> None:
    assert narrative_problem(div) is not None


@given(st.text(alphabet=st.sampled_from(list("<>/&;:\"'= abdivpurlscript!-[]#\n\\0")), max_size=60))
def test_any_text_gets_an_answer_and_no_tag_slips_through(text: str) -> None:
    if narrative_problem(f"{DIV}{text}</div>") is None:
        assert "script" not in {part.split(">")[0].split()[0] for part in text.split("<")[1:] if part.split()}
