"""Service protection (V58)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.limits import ServiceProtection
from include.sandbox.dynamics.options import Options
from include.sandbox.service import Request
from tests.sandbox.dynamics.conftest import BASE, START, Org, code, header, message


def _left(org: Org) -> int:
    return int(header(org.get("WhoAmI"), "x-ms-ratelimit-burst-remaining-xrm-requests") or 0)


def test_the_real_limits_are_on_by_default() -> None:
    """V58, section 12.1."""
    options = Options()
    assert (options.limits, options.limit_requests, options.limit_seconds) == (True, 6000, 1200)
    assert (options.limit_window, options.limit_concurrency) == (300, 52)


def test_too_many_requests_wait_as_long_as_told(make_org: Callable[..., Org]) -> None:
    """V58."""
    org = make_org(limit_requests=3)
    for _ in range(2):
        assert org.get("WhoAmI").status == 200
    org.clock.advance(100)
    assert org.get("WhoAmI").status == 200
    response = org.get("WhoAmI")
    assert (response.status, code(response)) == (429, "0x80072322")
    assert message(response) == "Number of requests exceeded the limit of 3 over time window of 300 seconds."
    assert header(response, "Retry-After") == "200"
    org.clock.advance(200)
    assert org.get("WhoAmI").status == 200


def test_pushing_on_makes_the_wait_longer(make_org: Callable[..., Org]) -> None:
    """V58."""
    org = make_org(limit_requests=1)
    org.get("WhoAmI")
    waits = [int(header(org.get("WhoAmI"), "Retry-After") or 0) for _ in range(3)]
    assert waits == sorted(set(waits))
    org.clock.advance(waits[-1])
    assert org.get("WhoAmI").status == 200


def test_execution_time_is_limited() -> None:
    """V58."""
    protection, options = ServiceProtection(), Options()
    protection.enter("u", START, options)
    protection.leave("u", START, 1200.0)
    try:
        protection.enter("u", START, options)
    except ServiceError as error:
        refused = error
    else:
        raise AssertionError("not refused")
    assert (refused.status, refused.code) == (429, "0x80072321")
    assert "1,200,000 milliseconds" in refused.message
    protection.enter("someone else", START, options)


def test_concurrency_is_limited() -> None:
    """V58."""
    protection, options = ServiceProtection(), Options(limit_concurrency=2)
    for _ in range(2):
        protection.enter("u", START, options)
    codes = []
    try:
        protection.enter("u", START, options)
    except ServiceError as error:
        codes.append((error.code, dict(error.headers)["Retry-After"]))
    assert codes == [("0x80072326", "1")]
    protection.leave("u", START, 0.0)
    protection.enter("u", START, options)


def test_a_batch_and_a_bulk_action_count_once(org: Org) -> None:
    """V58."""
    before = _left(org)
    lead = "Content-Type: application/http\r\n\r\nPOST leads HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}\r\n"
    body = "".join(f"--b\r\n{lead}" for _ in range(5)) + "--b--\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    assert org.call("POST", "$batch", body.encode(), headers).status == 200
    targets = [{"@odata.type": "Microsoft.Dynamics.CRM.lead"}] * 5
    assert org.call("POST", "leads/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": targets}).status == 200
    assert org.control("row_count", entity="lead") == 10
    assert before - _left(org) == 3


def test_users_have_limits_of_their_own_and_tokens_are_free(make_org: Callable[..., Org]) -> None:
    """V58."""
    org = make_org(limit_requests=1)
    assert org.get("WhoAmI").status == 200
    assert org.get("WhoAmI").status == 429
    org.sign_in("other")
    assert org.get("WhoAmI").status == 200


def test_limits_can_be_switched_off_and_counters_cleared(make_org: Callable[..., Org]) -> None:
    """V58."""
    org = make_org(limit_requests=1)
    assert [org.get("WhoAmI").status for _ in range(2)] == [200, 429]
    org.control("set_options", limits=False)
    assert [org.get("WhoAmI").status for _ in range(2)] == [200, 200]
    org.control("set_options", limits=True)
    assert [org.get("WhoAmI").status for _ in range(2)] == [200, 429]


def test_requests_of_many_threads_are_all_counted_and_all_kept(org: Org) -> None:
    """V58; `handle` is called from several threads at once."""
    before = _left(org)
    statuses: list[int] = []

    def work(number: int) -> None:
        for step in range(10):
            statuses.append(org.call("POST", "leads", {"lastname": f"{number}-{step}"}).status)
            statuses.append(org.get("leads?$top=1").status)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 204}
    rows = org.values("leads")
    assert len(rows) == 60
    assert len({row["versionnumber"] for row in rows}) == 60
    assert before - _left(org) == 60 * 2 + 2


def test_a_slow_request_counts_as_running_from_its_arrival_to_its_answer(make_org: Callable[..., Org]) -> None:
    """V58: what a fault holds up, before or after the service looks at it, is under way all the while."""
    org = make_org(limit_concurrency=2)
    asked = Request("GET", "/api/data/v9.2/WhoAmI", headers={"authorization": f"Bearer {org.token}"}, base_url=BASE)
    holds = [org.emulator.hold(asked) for _ in range(3)]
    assert [one is not None and one.refused for one in holds] == [False, False, True]
    found = [org.emulator.handle(replace(asked, hold=one)) for one in holds]
    assert [response.status for response in found] == [200, 200, 429]
    assert code(found[2]) == "0x80072326"
    refused = org.get("WhoAmI")
    assert (refused.status, code(refused)) == (429, "0x80072326")
    for one in holds:
        assert one is not None
        one.release()
    assert org.get("WhoAmI").status == 200
