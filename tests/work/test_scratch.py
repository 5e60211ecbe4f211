import pytest, time
pytestmark = pytest.mark.anyio
async def test_it(anna, worker):
    await anna.shares("prom","sensor","plan")
    t=time.time()
    await anna.answers_baseline()
    print("answers", time.time()-t); t=time.time()
    n=0
    while await worker.step(): n+=1
    print(n, time.time()-t)
    from tests.store.actors import clinic
    for q in ("Observation","CarePlan","Goal","Provenance","Flag"):
        mine=await anna.sees(f"{q}?_sort=_id"); theirs=await anna.sees(q, clinic())
        print(q, len(mine), len(theirs))
    print(await anna.plans())
