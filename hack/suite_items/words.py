"""What the templates are filled with."""

import random

PEOPLE = (
    "Amara", "Bruno", "Chiara", "Dilan", "Emre", "Farah", "Goran", "Hana", "Ivo", "Jelena",
    "Karim", "Lena", "Milos", "Nadia", "Otto", "Petra", "Quentin", "Rosa", "Samir", "Tilda",
)  # fmt: skip
PLACES = (
    "Bergen",
    "Cadiz",
    "Delft",
    "Espoo",
    "Ghent",
    "Lucca",
    "Malmo",
    "Narvik",
    "Olomouc",
    "Porto",
    "Split",
    "Turku",
)
THINGS = ("lamp", "pump", "fan", "heater", "scanner", "printer", "camera", "valve", "mixer", "charger")
GOODS = ("crates", "drums", "pallets", "sacks", "boxes", "barrels")
PRODUCTS = ("kettle", "desk lamp", "office chair", "toaster", "backpack", "keyboard", "bicycle pump", "wall clock")
COLOURS = ("red", "blue", "green", "grey", "yellow", "white")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


def some(rng: random.Random, of: tuple[str, ...], count: int) -> list[str]:
    """Different ones."""
    return rng.sample(of, count)


def listed(names: list[str], last: str = "and") -> str:
    """`Ivo, Hana and Otto`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
