"""The whole way of one invented person, step by step against a running gateway: `backbridge demo`.

Whatever a person or a system would do goes over HTTP: pages with their forms, the token endpoint, the FHIR API. Only
what an operator does at the machine (inviting a colleague, registering a client) uses the installation directly.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from gateway.demo.answers import baseline
from gateway.demo.browser import Browser, Page
from gateway.demo.cast import people
from gateway.demo.clinic import CLINIC_ID, NAMES, PRACTICE_ID
from gateway.demo.ehr import ALGORITHM, SCOPE, RecordSystem
from gateway.demo.export import write_export
from gateway.people import organisations, staff
from gateway.people.codes import new_code
from gateway.people.errors import NotKnown
from gateway.people.local_token import local_token
from gateway.people.registry import publish_organisation, publish_practitioner
from gateway.people.tables import Role
from gateway.r4.identity import key_of, new_id
from gateway.settings import Settings
from gateway.smart import clients, jose
from gateway.store.database import Database
from gateway.store.store import now_us
from mappings.demographics import check_digit, written
from recommender.canonical import LOINC, SCORE_SYSTEM, STEPS_PER_DAY

JSON = dict[str, Any]
Say = Callable[[str], None]

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.3
_SCORES = ("pain-nrs-average", "rmdq-24", "psfs-mean", "phq-8")
_DAYS = 28


class StepFailed(Exception):
    """Something came out otherwise than it has to."""


@dataclass
class Story:
    """
    One telling. Steps are methods in the order in which they happen; each says what it did and made.

    say  told one line for each thing done
    """

    url: str
    settings: Settings
    database: Database
    say: Say
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    patient_id: str = ""
    plan_id: str = ""
    code: str = ""

    def __post_init__(self) -> None:
        self.clinician, self.patient = Browser(self.url), Browser(self.url)
        self.number = _fresh_nhs_number()
        self.person = replace(people()[0], given="Robin", family="Storyline", red_flag="", login="")

    def close(self) -> None:
        for each in (self.clinician, self.patient, self.http):
            each.close()

    # -- the clinic ----------------------------------------------------------------------------------------------------

    def a_clinician_signs_in(self) -> None:
        """An operator invites a physiotherapist, who chooses a passphrase and signs in."""
        for organisation_id in (CLINIC_ID, PRACTICE_ID):
            self._organisation(organisation_id)
        email, passphrase = f"{new_id()}@meadow-lane.example", new_code()
        with self.database.writing() as session:
            invited = staff.invite(
                session,
                name="Jo Narrator",
                email=email,
                organisation=key_of("Organization", CLINIC_ID),
                roles=[Role.CLINICIAN],
                invited_by=0,
                now_us=now_us(),
            )
        publish_practitioner(self.database, self.settings, invited.account)
        form = self.clinician.open("/invitation").form("/invitation")
        self.clinician.submit(form, {"code": invited.code, "secret": passphrase})
        form = self.clinician.open("/sign-in/staff").form("/sign-in/staff")
        page = self.clinician.submit(form, {"email": email, "secret": passphrase})
        _expect(page.path == "/panel", "the panel opens after signing in")
        self.say(f"Practitioner/{invited.account.id} signed in for Organization/{CLINIC_ID}")

    def the_clinician_registers_a_patient(self) -> None:
        form = self.clinician.open("/patients/new").form("/patients/new")
        born = self.person.born
        entered = {
            "nhs": written(self.number),
            "given": self.person.given,
            "family": self.person.family,
            "born-day": str(born.day),
            "born-month": str(born.month),
            "born-year": str(born.year),
            "checked": "yes",
        }
        page = self.clinician.submit(form, entered)
        _expect(page.path.startswith("/patients/") and page.path.endswith("/code"), "the prescription follows")
        self.patient_id = page.path.split("/")[2]
        self.say(f"Patient/{self.patient_id} registered, invented NHS number {written(self.number)}")

    def the_clinician_prescribes(self) -> None:
        path = f"/patients/{self.patient_id}/code"
        page = self.clinician.submit(self.clinician.open(path).form(path), {"suitable": "yes"})
        codes = [word for word in page.text.split() if word.count("-") == 2 and len(word) == len("XXXX-XXXX-XXXX")]
        _expect(len(codes) >= 1, "the activation code is shown once")
        self.code = codes[0]
        self.say(f"activation code {self.code}")

    # -- the patient ---------------------------------------------------------------------------------------------------

    def the_patient_activates(self) -> None:
        form = self.patient.open("/activate").form("/activate")
        page = self.patient.submit(form, {"code": self.code, "handle": f"robin.{new_id()}", "secret": new_code()})
        _expect(page.path == "/start", "the patient is signed in and sees where to start")
        self.say("account opened; the plan engine may work for this patient from now on")

    def the_patient_decides_about_sharing(self) -> None:
        page = self._share(CLINIC_ID, "yes")
        page = self.patient.submit(page.form(f"/sharing/{CLINIC_ID}/agree"), {})
        _expect(page.path == "/sharing", "the consent is filed")
        self._share(PRACTICE_ID, "no")
        consents = {c["status"]: c["id"] for c in self._own("Consent?patient=Patient/{patient}")}
        _expect(set(consents) == {"active", "rejected"}, "one consent is active, one was declined")
        self.say(f"Consent/{consents['active']} shares with {NAMES[CLINIC_ID]}")
        self.say(f"Consent/{consents['rejected']} declines {NAMES[PRACTICE_ID]}")

    def the_patient_answers_the_baseline(self) -> None:
        for name, given in baseline(self.person):
            self._answer(name, dict(given))
        found = self._own("QuestionnaireResponse?subject=Patient/{patient}&status=completed")
        _expect(len(found) == len(baseline(self.person)), "every questionnaire is complete")
        for response in found:
            title = response["questionnaire"].rpartition("/")[2]
            self.say(f"QuestionnaireResponse/{response['id']} {title}")

    def the_patient_uploads_health_data(self) -> None:
        zone = ZoneInfo(self.settings.time_zone)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "export.zip"
            yesterday = datetime.now(zone).date() - timedelta(days=1)
            write_export(path, days=_DAYS, last=yesterday, steps=5_000, zone=zone)
            page = self.patient.upload(self.patient.open("/import").form("/import"), path.name, path.read_bytes())
        _expect(page.path.startswith("/import/"), "the upload is accepted")
        job = self._until(lambda: self._ended(page.path), "the upload is read")
        _expect((job["state"], job["records"]) == ("done", _DAYS), f"{_DAYS} days of steps are stored")
        self.say(f"synthetic Apple Health export read: {_DAYS} Observations of steps")

    # -- the plan ------------------------------------------------------------------------------------------------------

    def a_plan_is_proposed(self) -> None:
        start = f"/patients/{self.patient_id}/plans/"
        link = self._until(
            lambda: self.clinician.open(f"/patients/{self.patient_id}").link(start), "a draft plan appears"
        )
        self._until(lambda: "Steps per day" in self.clinician.open(link).text, "the draft rests on the steps, too")
        self.plan_id = link.removeprefix(start)
        self.say(f"CarePlan/{self.plan_id} drafted by the plan engine, waiting for the clinician")

    def the_clinician_reads_the_reasons_and_activates(self) -> None:
        path = f"/patients/{self.patient_id}/plans/{self.plan_id}"
        page = self.clinician.open(path)
        _expect("backbridge-plan-policy" in page.text, "the page names the policy that made the plan")
        _expect("step." in page.text and "exercise." in page.text, "the page lists the rules that fired")
        page = self.clinician.submit(page.form(path), {"decision": "activate"})
        _expect(page.path == f"/patients/{self.patient_id}", "the decision is stored")
        [plan] = self._own(f"CarePlan?_id={self.plan_id}")
        _expect(plan["status"] == "active", "the plan is active")
        self.say(f"CarePlan/{self.plan_id} is active, version {plan['meta']['versionId']}")

    # -- the record system ---------------------------------------------------------------------------------------------

    def a_record_system_reads_under_consent(self) -> None:
        key = jose.generate(ALGORITHM)
        with self.database.writing() as session:
            client = clients.register(
                session,
                name="Narrated record system (demonstration)",
                organisation=key_of("Organization", CLINIC_ID),
                jwks=json.dumps({"keys": [key.jwk]}),
                scopes=SCOPE,
                activity="direct-care",
                now_us=now_us(),
            )
        self.ehr = RecordSystem(self.url, client.id, key)
        self.say(f"Device/{client.id} registered with its own {ALGORITHM} key; token by private_key_jwt")
        for what, total in self._totals().items():
            _expect(total > 0, f"the record system finds the patient's {what}")
            self.say(f"record system finds {what}: {total}")

    def the_patient_withdraws(self) -> None:
        form = self.patient.open("/sharing").form(f"/sharing/{CLINIC_ID}/withdraw")
        self.patient.submit(form, {})
        self.say(f"sharing with {NAMES[CLINIC_ID]} withdrawn")

    def the_record_system_finds_nothing_any_more(self) -> None:
        totals = self._totals()
        _expect(set(totals.values()) == {0}, "every total is 0 with the very next request")
        status = self.ehr.status(self.http, self.ehr.token(self.http), f"CarePlan/{self.plan_id}")
        _expect(status == 404, "the plan reads as if it did not exist")
        self.say(f"record system: totals 0, CarePlan/{self.plan_id} is 404")

    def the_patient_sees_who_looked(self) -> None:
        page = self.patient.open("/sharing/looks")
        _expect("Narrated record system" in page.text, "the page names the record system")
        _expect("Jo Narrator" in page.text, "the page names the clinician")
        self.say("the patient's page names the record system and the clinician")

    # -- small steps ---------------------------------------------------------------------------------------------------

    def _organisation(self, organisation_id: str) -> None:
        with self.database.reading() as session:
            try:
                organisations.get(session, organisation_id)
            except NotKnown:
                pass
            else:
                return
        with self.database.writing() as session:
            made = organisations.add(
                session, name=NAMES[organisation_id], now_us=now_us(), organisation_id=organisation_id
            )
        publish_organisation(self.database, self.settings, made)

    def _share(self, organisation_id: str, verdict: str) -> Page:
        path = f"/sharing/{organisation_id}"
        values: dict[str, str | list[str]] = {"share": verdict}
        if verdict == "yes":
            values |= {"category": ["prom", "plan", "sensor"], "write": "yes", "months": "12"}
        return self.patient.submit(self.patient.open(path).form(path), values)

    def _answer(self, name: str, given: dict[str, object]) -> None:
        """One questionnaire, one question a page, until it is sent."""
        page = self.patient.open(f"/questions/{name}")
        following = page.link(f"/questions/{name}/")
        _expect(following is not None, f"{name} can be begun")
        page = self.patient.open(str(following))
        for _ in range(len(given) * 2):
            if page.path.endswith("/check"):
                break
            link_id = page.path.rpartition("/")[2]
            page = self.patient.submit(page.form(page.path), {"answer": _as_typed(given.get(link_id, []))})
        page = self.patient.submit(page.form(f"/questions/{name}/check"), {})
        _expect(page.path.endswith("/done"), f"{name} is sent")

    def _own(self, query: str) -> list[JSON]:
        """What the patient's own app would read, with a token that the operator vouches for."""
        user = f"Patient/{self.patient_id}"
        token = local_token(self.database, scope="patient/*.rs", user=user, now_us=now_us(), seconds=60)
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.http.get(f"{self.url}/fhir/{query.format(patient=self.patient_id)}&_count=200", headers=headers)
        _expect(answer.status_code == 200, "the patient reads their own data")
        return [entry["resource"] for entry in answer.json().get("entry", ())]

    def _totals(self) -> dict[str, int]:
        """What the record system finds of this patient, by kind."""
        token, subject = self.ehr.token(self.http), f"subject=Patient/{self.patient_id}&_total=accurate&_count=200"
        scores = ",".join(f"{SCORE_SYSTEM}|{code}" for code in _SCORES)
        queries = {
            "plans": f"CarePlan?{subject}",
            "scores": f"Observation?{subject}&code={scores}",
            "days of steps": f"Observation?{subject}&code={LOINC}|{STEPS_PER_DAY}",
        }
        return {what: self.ehr.search(self.http, token, query)["total"] for what, query in queries.items()}

    def _ended(self, path: str) -> dict[str, object] | None:
        job = self.patient.json(f"{path}/status")
        return job if job["state"] in ("done", "failed") else None

    def _until(self, look: Callable[[], Any], what: str) -> Any:
        """What `look` finds, looked for again and again for a minute."""
        ends = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < ends:
            found = look()
            if found:
                return found
            time.sleep(_LOOK_SECONDS)
        raise StepFailed(f"waited {_PATIENCE_SECONDS:.0f} s in vain until {what}")


STEPS: tuple[Callable[[Story], None], ...] = (
    Story.a_clinician_signs_in,
    Story.the_clinician_registers_a_patient,
    Story.the_clinician_prescribes,
    Story.the_patient_activates,
    Story.the_patient_decides_about_sharing,
    Story.the_patient_answers_the_baseline,
    Story.the_patient_uploads_health_data,
    Story.a_plan_is_proposed,
    Story.the_clinician_reads_the_reasons_and_activates,
    Story.a_record_system_reads_under_consent,
    Story.the_patient_withdraws,
    Story.the_record_system_finds_nothing_any_more,
    Story.the_patient_sees_who_looked,
)


@contextmanager
def telling(url: str, settings: Settings, database: Database, say: Say) -> Iterator[Story]:
    """A story, closed at the end."""
    story = Story(url, settings, database, say)
    try:
        yield story
    finally:
        story.close()


def title(step: Callable[[Story], None]) -> str:
    """The name of a step as a sentence."""
    return step.__name__.replace("_", " ").capitalize()


def _expect(is_so: bool, what: str) -> None:
    if not is_so:
        raise StepFailed(f"expected: {what}")


def _as_typed(value: object) -> list[str]:
    """An answer as the form sends it."""
    if isinstance(value, list):
        return [str(each) for each in value]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(value)]


def _fresh_nhs_number() -> str:
    """A valid number of the range for tests that nobody has used: the time of day makes it."""
    candidate = 999_100_000 + int(time.time() * 10) % 800_000
    while (digit := check_digit(str(candidate))) is None:
        candidate += 1
    return f"{candidate}{digit}"
