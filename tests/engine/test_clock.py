"""The lane's clock: how far time has come for leads that do nothing."""

from app.engine.clock import LaneClock

TOPICS = ("web", "email", "cart", "crm", "commands")
NOON = 1_767_268_800_000
HOUR = 3_600_000


class World:
    """What a clock is told."""

    def __init__(self) -> None:
        self.wall = NOON
        self.ends: dict[str, int | None] = dict.fromkeys(TOPICS, 0)
        self.next = dict.fromkeys(TOPICS, 0)
        self.clock = LaneClock(TOPICS, self.ends.__getitem__, lambda: self.wall)

    def now(self) -> int | None:
        return self.clock.now(self.next)


def test_with_all_inputs_read_to_their_ends_it_is_a_second_behind_the_wall() -> None:
    world = World()
    world.ends["web"] = world.next["web"] = 17
    assert world.now() == NOON - 1_000
    world.wall += 1
    assert world.now() == NOON - 999


def test_it_is_unknown_while_the_end_of_any_input_is() -> None:
    for topic in TOPICS:
        world = World()
        world.ends[topic] = None
        assert world.now() is None


def test_it_is_unknown_while_an_input_has_records_none_of_which_was_read() -> None:
    for topic in TOPICS:
        world = World()
        world.ends[topic] = 1
        assert world.now() is None


def test_behind_with_inputs_it_is_where_the_one_furthest_back_has_been_read_to() -> None:
    world = World()
    world.ends |= {"web": 9, "crm": 5}
    world.next |= {"web": 4, "crm": 2}
    world.clock.read("web", NOON - HOUR)
    assert world.now() is None, "of crm nothing has been read"
    world.clock.read("crm", NOON - 2 * HOUR)
    assert world.now() == NOON - 2 * HOUR
    world.clock.read("crm", NOON - HOUR // 2)
    assert world.now() == NOON - HOUR
    world.next["crm"] = 5
    world.clock.read("web", NOON - HOUR // 4)
    assert world.now() == NOON - HOUR // 4
    world.next["web"] = 9
    assert world.now() == NOON - 1_000


def test_an_input_that_is_read_to_its_end_does_not_hold_it_back() -> None:
    world = World()
    world.clock.read("email", NOON - 900 * HOUR)
    world.ends["email"] = world.next["email"] = 3
    assert world.now() == NOON - 1_000


def test_it_never_goes_back() -> None:
    world = World()
    assert world.now() == NOON - 1_000
    world.ends["cart"] = 1
    assert world.now() == NOON - 1_000, "a record came that is not read yet"
    world.clock.read("cart", NOON - HOUR)
    assert world.now() == NOON - 1_000, "an old one"
    world.ends["cart"] = None
    assert world.now() == NOON - 1_000, "the broker does not answer"
    world.ends["cart"] = world.next["cart"] = 1
    world.wall -= HOUR
    assert world.now() == NOON - 1_000, "the machine's clock was set back"
    world.wall += 2 * HOUR
    assert world.now() == NOON + HOUR - 1_000


def test_a_producers_clock_that_is_ahead_does_not_carry_it_beyond_the_wall() -> None:
    world = World()
    world.ends["web"] = 2
    world.clock.read("web", NOON + 900 * HOUR)
    assert world.now() == NOON - 1_000
    world.next["web"] = 2
    world.wall += 5
    assert world.now() == NOON - 995


def test_what_is_due_can_be_taken_a_second_after_it() -> None:
    world = World()
    assert world.clock.ms_until(NOON) == 1_000
    world.wall += 1_000
    assert world.clock.ms_until(NOON) == 0
    assert world.now() == NOON
