"""The documentation says what the code does: generated pages are current, and everything named exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from fastapi.routing import APIRoute

from gateway import openapi
from gateway.documentation import PAGES, commands
from gateway.fhir.app import HANDLERS
from gateway.fhir.paths import INTERACTIONS, READ_ONLY, WRITES, route
from gateway.r4.search_parameters import PARAMETERS
from gateway.settings import Settings

ROOT = Path(__file__).parents[2]
PROSE = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("gateway/**/*.md"))
    if ".venv" not in path.parts
)
_NAMES = [str(path.relative_to(ROOT)) for path in PROSE]
_METHODS = {"get", "post", "put", "delete", "patch"}
# Folders of the repository: a path in code marks that begins with one of them names a file or folder.
_ROOMS = ("consent/", "docs/", "gateway/", "mappings/", "openapi/", "recommender/", "sensors/", "tests/")


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "openapi" / "backbridge.json").read_text(encoding="utf-8"))
    return document


# -- generated -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_generated_page_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path](), f"{path} is out of date: run make docs"


def test_every_setting_has_a_row_with_a_meaning() -> None:
    rows = re.findall(r"^\| `BACKBRIDGE_([A-Z_]+)` \| (.+?) \|", _text("docs/settings.md"), re.MULTILINE)
    assert {name.lower() for name, meaning in rows if meaning.strip()} == set(Settings.model_fields)


def test_every_command_has_its_heading_and_a_sentence() -> None:
    headings = re.findall(r"^## (backbridge .+)\n\n(\S.+)$", _text("docs/commands.md"), re.MULTILINE)
    assert [name for name, _ in headings] == [name for name, _ in commands()]


# -- the contract --------------------------------------------------------------------------------------------------


def test_contract_is_openapi(published: dict[str, Any]) -> None:
    assert OpenAPI.model_validate(published).openapi.startswith("3.1")


def test_every_reference_of_the_contract_is_defined(published: dict[str, Any]) -> None:
    for reference in set(_references(published)):
        node: Any = published
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert isinstance(node, dict), reference


def test_operation_ids_are_unique(published: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in _operations(published)]
    assert len(ids) == len(set(ids))


def test_every_fhir_endpoint_is_in_the_contract_for_every_type_it_serves(published: dict[str, Any]) -> None:
    listed = {(path, method) for path, method, _ in _operations(published)}
    for row in INTERACTIONS:
        path = f"/fhir/{row.template}".rstrip("/")
        types = [name for name in openapi.STORED_TYPES if row.letter not in WRITES or name not in READ_ONLY]
        paths = [f"/fhir/{name}" for name in types] if row.template == "{type}" else [path]
        assert {(each, row.method.lower()) for each in paths} <= listed, row


def test_every_fhir_path_of_the_contract_is_routed_to_its_handler(published: dict[str, Any]) -> None:
    places = {"type": "Patient", "id": "1", "member": "Observation", "version": "1"}
    for path, method, operation in _operations(published):
        if path.startswith("/fhir") and "/.well-known/" not in path:
            code = route(method.upper(), path.removeprefix("/fhir").format(**places)).interaction.code
            assert code in HANDLERS
            assert operation["operationId"].startswith(code)


def test_every_other_route_is_in_the_contract_or_a_page_for_people(published: dict[str, Any]) -> None:
    listed = {(path, method) for path, method, _ in _operations(published) if not path.startswith("/fhir")}
    served = {
        (each.path, method.lower(), each.include_in_schema)
        for each in _routes(openapi.pages().routes)
        for method in each.methods
    }
    assert any(path == "/today" for path, _, _ in served), "the walk over the routes finds none"
    for path, method, is_published in served:
        if is_published and not path.startswith("/fhir"):
            assert (path, method) in listed
    assert listed <= {(path, method) for path, method, _ in served}


def test_search_parameters_of_the_contract_are_those_of_the_tables(published: dict[str, Any]) -> None:
    common = set(openapi.QUERY) | set(openapi.HEADERS)
    components = published["components"]["parameters"]
    for name in openapi.STORED_TYPES:
        references = [each["$ref"] for each in published["paths"][f"/fhir/{name}"]["get"]["parameters"]]
        names = {components[reference.rpartition("/")[2]]["name"] for reference in references}
        assert names - common == set(PARAMETERS[name]) - common


def test_contract_is_below_two_megabytes() -> None:
    assert (ROOT / "openapi" / "backbridge.json").stat().st_size < 2_000_000


# -- prose ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _NAMES)
def test_every_local_link_leads_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", _without_blocks(_text(name)))
    local = [target for target in targets if "://" not in target and not target.startswith(("#", "mailto:"))]
    missing = [target for target in local if not ((ROOT / name).parent / target.partition("#")[0]).exists()]
    assert not missing, f"{name} links to {missing}"


@pytest.mark.parametrize("name", _NAMES)
def test_every_path_in_code_marks_exists(name: str) -> None:
    marked = re.findall(r"`([a-z0-9_.]+/[A-Za-z0-9_./-]*)(?::[^`]*)?`", _without_blocks(_text(name)))
    paths = {path for path in marked if path.startswith(_ROOMS)}
    assert not [path for path in sorted(paths) if not (ROOT / path).exists()]


@pytest.mark.parametrize("name", _NAMES)
def test_no_page_names_a_place_on_somebodys_machine(name: str) -> None:
    assert not re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users|mnt)/\S*", _text(name))


@pytest.mark.parametrize("name", _NAMES)
def test_every_make_target_and_setting_that_prose_names_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", _text("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", _text(name), re.MULTILINE)) <= targets
    settings = {f"BACKBRIDGE_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"BACKBRIDGE_[A-Z_]+[A-Z]", _text(name))) <= settings


@pytest.mark.parametrize("name", _NAMES)
def test_every_command_that_prose_shows_exists(name: str) -> None:
    words = {word for path, _ in commands() for word in [path, " ".join(path.split()[:2])]}
    shown = re.findall(r"(?:bin/|`|^\s*)(backbridge [a-z]+)", _text(name), re.MULTILINE)
    assert set(shown) <= words


def test_decisions_are_numbered_without_gaps_and_short() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 50, page.name
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Options", "Decision", "Consequences"], page.name


def test_every_document_that_code_refers_to_exists() -> None:
    rooms = ("consent", "gateway", "mappings", "recommender", "sensors")
    named = {
        found
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for found in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _without_blocks(text: str) -> str:
    """The text without code blocks: those are examples, not references."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def _routes(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """The routes, those of included routers too."""
    for each in routes:
        if isinstance(each, APIRoute):
            yield each
        elif inner := getattr(each, "original_router", None):
            yield from _routes(inner.routes)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
