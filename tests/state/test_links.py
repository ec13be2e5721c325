"""Links: found by either record, changed by compare and set, never two for one record."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.leadsync.clock import FakeClock
from include.leadsync.state import Links, LinkTaken, StateStore
from include.leadsync.state.arrow import empty_table
from include.leadsync.state.schema import link
from tests.state.rows import add_links, guid, link_rows


def test_a_new_link_is_found_by_person_by_crm_record_and_by_id(store: StateStore) -> None:
    links = Links(store)
    stored = links.insert(link_rows([1, 2, 3], base='["a",null]', layout_id=4, crm_etag='W/"1"', person_hash=-5))
    assert stored["link_id"].to_pylist() == [1, 2, 3]
    assert links.by_person([2]).equals(links.by_crm([guid(2)]))
    assert links.by_id([2]).equals(stored.slice(1, 1))
    assert stored.schema.equals(empty_table(list(link.columns)).schema)


def test_look_ups_take_repeated_and_unknown_ids_and_none_at_all(store: StateStore) -> None:
    add_links(store, [1, 2])
    assert sorted(Links(store).by_person([2, 1, 2, 99])["person_id"].to_pylist()) == [1, 2]
    assert Links(store).by_person([]).num_rows == 0
    assert Links(store).by_person([]).schema.equals(empty_table(list(link.columns)).schema)


def test_a_guid_has_one_spelling(store: StateStore) -> None:
    upper = "ABCDEF00-0000-0000-0000-00000000000A"
    Links(store).insert(pa.table({"entity": ["lead"], "person_id": [1], "crm_id": [upper]}))
    assert Links(store).by_crm([upper])["crm_id"].to_pylist() == [upper.lower()]
    with pytest.raises(LinkTaken):
        Links(store).insert(pa.table({"entity": ["lead"], "person_id": [2], "crm_id": [upper.lower()]}))


def test_only_live_links_are_seen_unless_others_are_asked_for(store: StateStore) -> None:
    ids = add_links(store, [1, 2, 3])
    dead = pa.table({"link_id": ids[:2], "status": ["crm_deleted", "held"]})
    Links(store).update(dead)
    links = Links(store)
    assert links.by_person([1, 2, 3])["person_id"].to_pylist() == [3]
    assert sorted(links.by_person([1, 2, 3], statuses=None)["person_id"].to_pylist()) == [1, 2, 3]
    assert links.by_id(ids, statuses=["held"])["person_id"].to_pylist() == [2]
    ended = links.last_by_crm([guid(1), guid(2), guid(3)])
    assert {crm_id: row["person_id"] for crm_id, row in ended.items()} == {guid(1): 1}


@pytest.mark.parametrize("status", ["active", "creating"])
def test_a_second_link_of_a_person_or_crm_record_is_refused_by_name(store: StateStore, status: str) -> None:
    add_links(store, [1, 2], status=status)
    fresh = pa.table({"entity": ["lead"] * 3, "person_id": [3, 1, 4], "crm_id": [guid(3), guid(9), guid(2)]})
    with pytest.raises(LinkTaken, match=r"person 1, CRM record .*2 already") as caught:
        Links(store).insert(fresh)
    assert caught.value.person_ids == (1,)
    assert caught.value.crm_ids == (guid(2),)
    assert Links(store).count() == 2


def test_a_refused_link_leaves_the_rest_of_the_transaction_usable(store: StateStore) -> None:
    add_links(store, [1])
    with store.begin() as tx:
        Links(store).insert(link_rows([5]), tx)
        with pytest.raises(LinkTaken):
            Links(store).insert(link_rows([6, 1]), tx)
        Links(store).insert(link_rows([7]), tx)
    assert sorted(Links(store).by_person([1, 5, 6, 7])["person_id"].to_pylist()) == [1, 5, 7]
    assert Links(store).count() == 3


def test_one_record_named_twice_in_one_go_is_refused(store: StateStore) -> None:
    twice = pa.table({"entity": ["lead", "lead"], "person_id": [1, 1], "crm_id": [guid(1), guid(2)]})
    with pytest.raises(LinkTaken) as caught:
        Links(store).insert(twice)
    assert caught.value.person_ids == (1,)


def test_a_link_cannot_be_moved_onto_a_taken_record(store: StateStore) -> None:
    ids = add_links(store, [1, 2])
    with pytest.raises(LinkTaken) as caught:
        Links(store).update(pa.table({"link_id": [ids[1]], "person_id": [1]}))
    assert caught.value.person_ids == (1,)


def test_a_tombstone_frees_its_records_for_a_new_link(store: StateStore) -> None:
    old = add_links(store, [1])
    Links(store).update(pa.table({"link_id": old, "status": ["person_deleted"]}))
    new = add_links(store, [1])
    assert Links(store).by_person([1])["link_id"].to_pylist() == new != old
    with pytest.raises(LinkTaken):
        Links(store).update(pa.table({"link_id": old, "status": ["active"]}))


def test_links_without_a_person_or_crm_record_yet_do_not_collide(store: StateStore) -> None:
    nobody = pa.table({"entity": ["lead"] * 2, "person_id": pa.nulls(2, pa.int64()), "crm_id": [guid(1), guid(2)]})
    Links(store).insert(nobody)
    assert Links(store).by_crm([guid(1), guid(2)]).num_rows == 2


def test_an_update_changes_the_named_columns_only(store: StateStore, clock: FakeClock) -> None:
    ids = add_links(store, [1, 2], base='["old"]', note="kept")
    clock.advance(60)
    assert Links(store).update(pa.table({"link_id": ids, "base": ['["new"]', None]})) == []
    rows = Links(store).by_id(ids).sort_by("link_id").to_pylist()
    assert [row["base"] for row in rows] == ['["new"]', None]
    assert {row["note"] for row in rows} == {"kept"}
    assert {row["version"] for row in rows} == {0}
    assert {row["changed_at"] for row in rows} == {clock.now()}
    assert {row["created_at"] for row in rows} != {clock.now()}


def test_compare_and_set_changes_only_links_that_still_have_the_version(store: StateStore) -> None:
    ids = add_links(store, [1, 2, 3])
    first = pa.table({"link_id": ids, "expected_version": [0, 0, 7], "note": ["first"] * 3})
    assert Links(store).update(first) == [ids[2]]
    second = pa.table({"link_id": ids, "expected_version": [0, 1, 0], "note": ["second"] * 3})
    assert Links(store).update(second) == [ids[0]]
    rows = Links(store).by_id(ids).sort_by("link_id").to_pylist()
    assert [(row["version"], row["note"]) for row in rows] == [(1, "first"), (2, "second"), (1, "second")]


def test_a_link_that_does_not_exist_loses_compare_and_set(store: StateStore) -> None:
    assert Links(store).update(pa.table({"link_id": [77], "expected_version": [0], "note": ["x"]})) == [77]


def test_a_given_version_is_taken_as_it_is(store: StateStore) -> None:
    ids = add_links(store, [1])
    Links(store).update(pa.table({"link_id": ids, "expected_version": [0], "version": [5]}))
    assert Links(store).by_id(ids)["version"].to_pylist() == [5]


def test_a_column_that_links_do_not_have_is_refused(store: StateStore) -> None:
    with pytest.raises(ValueError, match="link has no column etag"):
        Links(store).update(pa.table({"link_id": [1], "etag": ["x"]}))


def test_dirty_links_come_back_lowest_first_until_they_are_cleaned(store: StateStore) -> None:
    ids = add_links(store, range(1, 6))
    assert Links(store).set_dirty([ids[4], ids[1], ids[2]], "412") == 3
    Links(store).update(pa.table({"link_id": [ids[2]], "status": ["crm_deleted"]}))
    rows = Links(store).dirty(10)
    assert rows["link_id"].to_pylist() == [ids[1], ids[4]]
    assert rows["dirty"].to_pylist() == ["412", "412"]
    assert Links(store).dirty(1).num_rows == 1
    Links(store).update(pa.table({"link_id": ids, "dirty": pa.nulls(5, pa.string())}))
    assert Links(store).dirty(10).num_rows == 0


def test_links_are_counted_per_entity_and_status_as_they_change(store: StateStore) -> None:
    links = Links(store)
    ids = add_links(store, [1, 2, 3])
    links.insert(pa.table({"entity": ["contact"], "person_id": [4], "status": ["creating"]}))
    links.update(pa.table({"link_id": ids, "expected_version": [0, 0, 5], "status": ["crm_deleted"] * 3}))
    links.update(pa.table({"link_id": [ids[1]], "entity": ["contact"]}))
    assert links.count() == 4
    assert links.count("lead") == 2
    assert links.count(status="crm_deleted") == 2
    assert links.count("contact", "crm_deleted") == 1
    assert links.count("contact", "held") == 0


def test_after_a_full_read_the_links_of_absent_records_are_known(store: StateStore) -> None:
    add_links(store, range(1, 6))
    Links(store).update(pa.table({"link_id": [5], "status": ["crm_deleted"]}))
    assert Links(store).absent("lead", [guid(1), guid(3).upper(), guid(99)]) == [guid(2), guid(4)]
    assert Links(store).absent("contact", []) == []


def test_a_sample_names_active_records_other_than_those_excluded(store: StateStore) -> None:
    add_links(store, [1, 2, 3])
    add_links(store, [4], status="creating")
    assert Links(store).sample("lead", 2, excluding=[guid(1)]) == [guid(2), guid(3)]
    assert Links(store).sample("lead", 9, excluding=[guid(1), guid(2), guid(3)]) == []


def test_every_live_link_is_on_one_page(store: StateStore) -> None:
    ids = add_links(store, range(1, 8))
    Links(store).update(pa.table({"link_id": [ids[3]], "status": ["held"]}))
    pages = [page["link_id"].to_pylist() for page in Links(store).pages("lead", size=3)]
    assert pages == [ids[:3], ids[4:]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_any_text_comes_back_as_it_was_stored(store: StateStore, texts: list[str | None]) -> None:
    rows = pa.table({"entity": ["lead"] * len(texts), "note": pa.array(texts, pa.string())})
    stored = Links(store).insert(rows)
    back = Links(store).by_id(stored["link_id"].to_pylist()).sort_by("link_id")["note"].to_pylist()
    assert back == [text and text.replace("\x00", "\ufffd") for text in texts]


TRIPS = ["\\.", "\\N", "a\\.\nb\n\\.\n", "\t\r\n", "", "\\", 'quo"te,', "x" * 100_000, "👩‍👩‍👧 مرحبا"]


@pytest.mark.parametrize("text", TRIPS)
def test_texts_that_trip_bulk_formats_survive_insert_and_update(store: StateStore, text: str) -> None:
    ids = add_links(store, [1, 2], note=text)
    Links(store).update(pa.table({"link_id": ids, "base": [text, None]}))
    rows = Links(store).by_id(ids).sort_by("link_id")
    assert rows["note"].to_pylist() == [text, text]
    assert rows["base"].to_pylist() == [text, None]


def test_of_two_that_link_the_same_record_at_once_one_is_refused(store: StateStore) -> None:
    barrier = threading.Barrier(2)
    refused: list[LinkTaken] = []

    def link_person(crm: int) -> None:
        barrier.wait()
        try:
            Links(store).insert(pa.table({"entity": ["lead"], "person_id": [1], "crm_id": [guid(crm)]}))
        except LinkTaken as error:
            refused.append(error)

    threads = [threading.Thread(target=link_person, args=(crm,)) for crm in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error.person_ids for error in refused] == [(1,)]
    assert Links(store).by_person([1]).num_rows == Links(store).count() == 1


def test_what_a_writing_transaction_has_read_stays_until_it_ends(store: StateStore) -> None:
    ids = add_links(store, [1])
    lost: list[int] = []
    change = {"link_id": ids, "expected_version": [0], "note": ["other"]}
    other = threading.Thread(target=lambda: lost.extend(Links(store).update(pa.table(change))))
    with store.begin() as tx:
        seen = Links(store).by_id(ids, tx)["version"][0].as_py()
        other.start()
        other.join(timeout=0.2)  # it has to wait; nothing else tells that it does
        assert other.is_alive()
        Links(store).update(pa.table({"link_id": ids, "version": [seen + 1], "note": ["mine"]}), tx)
    other.join()
    assert lost == ids
    assert Links(store).by_id(ids).select(["version", "note"]).to_pylist() == [{"version": 1, "note": "mine"}]
