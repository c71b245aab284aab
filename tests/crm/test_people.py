"""Keys in place of persons: lasting, different, and telling nothing."""

import re

from crm.people import MemoryPeopleBook, new_person_key


def test_a_person_keeps_the_key_and_the_newest_details():
    book = MemoryPeopleBook()
    (first,) = book.keys_for("rep", ["r1"], [{"name": "Ada", "email": "ada@example.com"}])
    again, other = book.keys_for("rep", ["r1", "r2"], [{"name": "Ada L."}, {"name": "Bob"}])
    assert first == again != other
    assert book.people["rep", "r1"] == (first, {"name": "Ada L.", "email": "ada@example.com"})


def test_a_rep_and_a_contact_of_the_same_identifier_are_two_persons():
    book = MemoryPeopleBook()
    assert book.keys_for("rep", ["1"], [{}]) != book.keys_for("contact", ["1"], [{}])


def test_one_person_named_twice_in_a_file_has_one_key():
    first, second = MemoryPeopleBook().keys_for("contact", ["c1", "c1"], [{"name": "A"}, {"name": "B"}])
    assert first == second


def test_keys_are_random():
    keys = {new_person_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(re.fullmatch("p_[0-9a-f]{16}", key) for key in keys)
