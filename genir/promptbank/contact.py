"""Rules for addresses and contact data, and for what else shows by its form rather than by a word."""

from __future__ import annotations

import re

# Quick looks that spare most prompts the rules below.
MAY_BE_CONTACT = re.compile(r"\d|@|\(at\)|\[at\]|www|http|\.\w{2,}", re.IGNORECASE)
MAY_BE_STYLE = re.compile(r"\bby\b|-like|style|manner|spirit|vein|inspired|reminiscent|esque|after", re.IGNORECASE)
MAY_BE_NAME = re.compile(r"[A-Z][a-zà-ÿ.]+ [A-Z]|[A-Z][a-z]+['’]s\b|named|called", re.DOTALL)

_STREET = (
    r"street|st|avenue|ave|road|rd|lane|ln|drive|dr|terrace|plaza|square|boulevard|blvd|way|court|place|crescent|close"
)
_HOST = r"com|org|net|info|io|gg|co|eu|de|uk|fr|it|es|ru|cn|jp|us|me|tv|app|dev|shop|biz"

# What a match is called in the reason -> its form.
RULES: dict[str, re.Pattern[str]] = {
    "e-mail": re.compile(r"\S+ ?(?:@|\(at\)|\[at\]) ?[\w-]+(?:\.| ?(?:dot|\(dot\)) ?)\w+", re.IGNORECASE),
    "web address": re.compile(rf"https?\b|\bwww\.|\b[\w-]{{2,}}\.(?:{_HOST})\b(?!\.\w)", re.IGNORECASE),
    "handle": re.compile(r"(?<!\w)@\w[\w.]+"),
    "telephone number": re.compile(
        r"\b(?:tel|call|ring|dial|phone)\b\D{0,8}\d[\d ()/-]{2,}\d|(?:\+|\b0|\(0?)\d[\d ()/-]{6,}\d"
        r"|\b\d{3}-\d{3,4}(?:-\d{4})?\b",
        re.IGNORECASE,
    ),
    "long number": re.compile(r"\d(?:[ -]?\d){8,}"),
    "personal number": re.compile(
        r"\b(?:id|licence|license|account|member|badge|policy)(?: no\.?| number)? ?[A-Z]?\d{5,}", re.IGNORECASE
    ),
    "street address": re.compile(
        rf"\b\d+[a-z]? (?:[\w.'’-]+ ){{1,3}}?(?:{_STREET})\b|\b\d+,? (?:rue|via|calle|avenida|rua|plaza|piazza) \w+"
        r"|\b(?:rue|via|calle|avenida|rua|piazza) (?:\w+ ){1,3}\d+"
        r"|\b\w+(?:stra(?:ss|ß)e|str\.|allee|weg|gasse|straat) \d+"
        rf"|\b\d+ \w+(?:strasse|straße|straat)\b|\bnumber \d+,? (?:\w+ ){{1,2}}(?:{_STREET})\b"
        rf"|\b(?:flat|apartment|suite) \d+\b|\b\d{{5}} [A-Z]\w+ (?i:{_STREET})",
        re.IGNORECASE,
    ),
    "number plate": re.compile(r"\bplates? (?:\w+ )?[A-Z0-9-]*\d[A-Z0-9-]*|\b[A-Z]{1,3}-[A-Z]{1,2} ?\d{1,4}\b"),
    "coordinates": re.compile(r"-?\d{1,3}\.\d{3,}[°, ]+[NSEW,]?"),
    "network address": re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
    "account": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,}"),
}

_NAME = r"[A-Z][a-zà-ÿ]+"
_WORK = (
    r"paint(?:ed|ing)|photo(?:graph(?:ed)?)?|art(?:work)?|drawn|drawing|sculpture|illustrat(?:ed|ion)|design(?:ed)?|directed"
    r"|etching|woodcut|print|poster|mural|still life|village|street|landscape"
)
STYLES: tuple[re.Pattern[str], ...] = (
    re.compile(
        rf"(?i:in the (?:style|manner|spirit) of|in the vein of|inspired by|reminiscent of) (?i:the )?{_NAME}"
        r"|(?i:in the (?:style|manner) of) (?!an?\b|the\b|\d)\w+(?=$|,)"
    ),
    re.compile(rf"(?i:{_WORK}) by (?:the )?{_NAME}|\b[Bb]y {_NAME} {_NAME}|(?:^|, )after {_NAME}(?:,|$)"),
    re.compile(r"\b(?!pictur|grot|arab|burl|roman|statu|humor|mor)\w{4,}-?esque\b"),
)

LIKE = re.compile(r"\b(\w+)-(?:like|style|inspired|esque|ish)\b")

TITLES = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Dame|Lady|Lord|President|Prime Minister|Chancellor|Senator|Governor|Prince"
    r"|Princess|King|Queen|Emperor|Empress|Pope|Captain|General|Colonel|Major|Reverend|Father|Sister|Sherpa)\.? "
    rf"{_NAME}"
)
_places = """
    Bay River Lake Harbour Harbor Street Valley Falls Island Islands Mountain Mountains Hill Hills Peak Cape
    Point Coast Beach Creek Canyon Park Forest Desert Glacier Bridge Tower Palace Castle Cathedral Church
    Gardens Garden Square Station Range Ridge Sea Strait Sound Channel Gulf Ocean Fjord Basin Plateau Plain
    Plains Land City Town Village County State Province Road Avenue House Hall Museum Rock Rocks Cliff Cliffs
    Reef Shore Pass Springs Wood Woods Moor Heath Green
"""
PLACES = frozenset(_places.split())
_PAIR = re.compile(rf"\b({_NAME}) (?:[A-Z]\.? |van |von |de |da |di |del |la |bin |al-)?({_NAME})")
_NAMED = re.compile(rf"\b(?:named|called|nicknamed) ({_NAME})")
_OWNER = re.compile(rf"\b({_NAME})['’]s\b")


def person_named(text: str, given_names: frozenset[str]) -> str:
    """The part of the text that names a person by its form ("Mr Patel", "Giulia Rossi", "John's"), or ""."""
    title = TITLES.search(text)
    if title and title.group().split()[-1] not in PLACES:
        return title.group()
    for match in _PAIR.finditer(text):
        if match[1] in given_names and match[2] not in PLACES:
            return match.group()
    for pattern in (_NAMED, _OWNER):
        for match in pattern.finditer(text):
            if match[1] in given_names:
                return match.group()
    return ""
