"""Imported by the server that store processes fork from: it compiles once what each of them would compile anew."""

from __future__ import annotations

from gateway.store.prepare import Preparer

Preparer(hash, "http://testserver/fhir")
