"""Who is next: places and steps."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from router.device.schedule import ROUNDS, Rota, greediest, line


@dataclass(frozen=True)
class Job:
    tenant: str = ""
    client: int = 0
    due_s: float = 60.0
    name: str = ""


def names(jobs):
    return [job.name for job in jobs]


def test_equal_jobs_stand_in_the_order_they_came():
    assert names(line([Job(name=n) for n in "abc"], [])) == ["a", "b", "c"]


def test_tenants_take_turns_however_many_jobs_one_of_them_sends():
    many = [Job("greedy", 1, name=f"g{n}") for n in range(4)]
    one = Job("modest", 2, name="m")

    assert names(line([*many, one], [])).index("m") == 1
    assert names(line([*many, one], [("greedy", 1)]))[0] == "m"


def test_who_has_been_without_a_place_longest_is_next():
    jobs = [Job(tenant, name=tenant) for tenant in "abc"]

    assert names(line(jobs, [("b", 0), ("a", 0)])) == ["c", "b", "a"]


def test_clients_of_one_tenant_take_turns_too():
    jobs = [Job("t", 1, name="a1"), Job("t", 1, name="a2"), Job("t", 2, name="b1")]

    assert names(line(jobs, [])) == ["a1", "b1", "a2"]


def test_of_one_client_s_jobs_the_one_that_is_due_first_goes_first():
    assert names(line([Job(due_s=60, name="any time"), Job(due_s=2, name="soon")], [])) == [
        "soon",
        "any time",
    ]


def test_in_a_full_line_the_last_job_of_the_tenant_with_most_gives_way():
    jobs = [Job("a", name="a1"), Job("b", name="b1"), Job("b", name="b2"), Job("a", name="a2")]
    jobs.append(Job("b", name="b3"))

    assert greediest(jobs).name == "b3"
    assert greediest(jobs[:3]).name == "b2"


def test_among_jobs_of_one_tenant_the_client_with_most_gives_way():
    many = [Job("", 1, name=f"a{n}") for n in range(5)]

    assert greediest([*many, Job("", 2, name="b1")]).name == "a4"
    assert greediest([*many, *[Job("x", n, name=f"x{n}") for n in range(6)]]).name == "x5"


jobs = st.builds(
    Job, st.sampled_from("abc"), st.integers(0, 2), st.floats(0, 100), st.text(max_size=3)
)


@given(st.lists(jobs), st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=4))
def test_the_line_holds_every_job_once(waiting, served):
    assert sorted(map(repr, line(waiting, served))) == sorted(map(repr, waiting))


@given(st.lists(jobs, min_size=1))
def test_no_tenant_is_more_than_one_place_behind_another_that_waits(waiting):
    given_places = {}
    left = {tenant: sum(j.tenant == tenant for j in waiting) for tenant in "abc"}
    for job in line(waiting, []):
        for tenant in "abc":
            if left[tenant]:
                assert given_places.get(job.tenant, 0) <= given_places.get(tenant, 0)
        given_places[job.tenant] = given_places.get(job.tenant, 0) + 1
        left[job.tenant] -= 1


def turns(rota, running, reading, number):
    return "".join(rota.next(running, lambda job: job in reading)[0] for _ in range(number))


def test_writers_take_turns():
    assert turns(Rota(), ["a", "b", "c"], "", 7) == "abcabca"


def test_between_two_rounds_of_the_writers_one_chunk_is_read_of_the_first_reader():
    assert turns(Rota(), ["r", "a", "b", "s"], "rs", 9) == "rabrabrab"


def test_a_reader_alone_reads_on_and_the_next_follows_when_it_writes():
    rota = Rota()

    assert turns(rota, ["r", "s"], "rs", 3) == "rrr"
    assert turns(rota, ["r", "s"], "s", 4) == "rsrs"


def test_who_ended_in_mid_round_is_passed_over():
    rota = Rota()
    assert turns(rota, ["a", "b", "c"], "", 1) == "a"

    assert turns(rota, ["a", "c"], "", 3) == "cac"


def test_those_that_write_together_go_together_and_a_chunk_comes_between_rounds():
    rota, running = Rota(), ["r", "a", "b", "c"]

    rounds = [rota.next(running, "r".__eq__, 3) for _ in range(2 + 2 * ROUNDS)]

    assert rounds == 2 * [["r"], *([["a", "b", "c"]] * ROUNDS)]


def test_a_round_larger_than_one_run_takes_several():
    rota = Rota()

    assert [rota.next(list("abcde"), "r".__eq__, 2) for _ in range(4)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
        ["a", "b"],
    ]


def test_who_has_left_has_no_part_in_the_round():
    rota = Rota()
    rota.next(list("abcd"), "r".__eq__, 2)

    assert rota.next(["b", "d"], "r".__eq__, 2) == ["d"]
