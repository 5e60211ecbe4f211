def test_x(patient, clinician):
    print(patient.text)
    for path in ("/today","/plan","/progress","/questions","/sharing","/sharing/looks","/import","/first-aid","/questions/rmdq-24","/questions/rmdq-24/rmdq-01","/exercises/abd-1-brace"):
        patient.open(path); print(path, patient.status, patient.url, patient.text[:300])
        assert patient.status == 200
    clinician.open("/panel"); print(clinician.text)
    assert 0
