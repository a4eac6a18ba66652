"""The 38 provinces with their people and some of their districts, by the ministry's codes.

Codes: Kepmendagri 300.2.2-2138/2025. Population: projection of Statistics Indonesia for 2024, in thousands.
"""

import random
from collections.abc import Mapping
from typing import Final

# Province: thousands of people, districts of two or more of its regencies and cities.
PROVINCES: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "11": (5_554, ("11.71.05", "11.75.03", "11.01.10", "11.10.10")),  # Aceh
    "12": (15_588, ("12.71.11", "12.78.04", "12.01.11", "12.13.12")),  # Sumatera Utara
    "13": (5_836, ("13.71.06", "13.77.03", "13.01.08", "13.07.07")),  # Sumatera Barat
    "14": (6_728, ("14.71.08", "14.72.04", "14.01.11", "14.06.09")),  # Riau
    "15": (3_724, ("15.71.06", "15.72.05", "15.01.15", "15.05.06")),  # Jambi
    "16": (8_837, ("16.71.10", "16.74.04", "16.01.21", "16.07.11")),  # Sumatera Selatan
    "17": (2_113, ("17.71.05", "17.01.06", "17.05.08")),  # Bengkulu
    "18": (9_419, ("18.71.11", "18.72.03", "18.01.14", "18.07.13")),  # Lampung
    "19": (1_531, ("19.71.04", "19.01.05", "19.04.04")),  # Kepulauan Bangka Belitung
    "21": (2_183, ("21.71.07", "21.72.03", "21.01.10", "21.03.15")),  # Kepulauan Riau
    "31": (10_684, ("31.71.05", "31.75.06", "31.01.02")),  # Daerah Khusus Ibukota Jakarta
    "32": (50_345, ("32.71.04", "32.79.03", "32.01.21", "32.10.14")),  # Jawa Barat
    "33": (37_892, ("33.71.02", "33.76.03", "33.01.13", "33.15.10")),  # Jawa Tengah
    "34": (3_759, ("34.71.08", "34.01.07", "34.03.10")),  # Daerah Istimewa Yogyakarta
    "35": (41_814, ("35.71.02", "35.79.02", "35.01.07", "35.15.10")),  # Jawa Timur
    "36": (12_431, ("36.71.07", "36.74.04", "36.01.18", "36.03.15")),  # Banten
    "51": (4_433, ("51.71.03", "51.01.03", "51.05.03")),  # Bali
    "52": (5_646, ("52.71.04", "52.72.03", "52.01.09", "52.05.05")),  # Nusa Tenggara Barat
    "53": (5_656, ("53.71.04", "53.01.18", "53.11.12")),  # Nusa Tenggara Timur
    "61": (5_695, ("61.71.04", "61.72.03", "61.01.10", "61.07.09")),  # Kalimantan Barat
    "62": (2_809, ("62.71.03", "62.01.04", "62.07.06")),  # Kalimantan Tengah
    "63": (4_273, ("63.71.03", "63.72.04", "63.01.06", "63.06.06")),  # Kalimantan Selatan
    "64": (4_045, ("64.71.04", "64.74.02", "64.01.06", "64.07.13")),  # Kalimantan Timur
    "65": (739, ("65.71.03", "65.01.06", "65.03.11")),  # Kalimantan Utara
    "71": (2_701, ("71.71.06", "71.74.03", "71.01.19", "71.06.06")),  # Sulawesi Utara
    "72": (3_121, ("72.71.05", "72.01.13", "72.07.11")),  # Sulawesi Tengah
    "73": (9_463, ("73.71.08", "73.73.05", "73.01.06", "73.11.04")),  # Sulawesi Selatan
    "74": (2_793, ("74.71.06", "74.72.05", "74.01.14", "74.08.08")),  # Sulawesi Tenggara
    "75": (1_227, ("75.71.05", "75.01.14", "75.03.10")),  # Gorontalo
    "76": (1_503, ("76.01.07", "76.04.09")),  # Sulawesi Barat
    "81": (1_945, ("81.71.03", "81.72.03", "81.01.16", "81.05.09")),  # Maluku
    "82": (1_355, ("82.71.05", "82.72.05", "82.01.05", "82.05.09")),  # Maluku Utara
    "91": (1_060, ("91.71.03", "91.03.10", "91.11.06")),  # Papua
    "92": (578, ("92.02.17", "92.07.07")),  # Papua Barat
    "93": (542, ("93.01.12", "93.03.08")),  # Papua Selatan
    "94": (1_472, ("94.01.08", "94.05.13")),  # Papua Tengah
    "95": (1_467, ("95.01.21", "95.05.03")),  # Papua Pegunungan
    "96": (627, ("96.71.06", "96.01.16", "96.03.13")),  # Papua Barat Daya
}
_CODES: Final = tuple(PROVINCES)
_WEIGHTS: Final = tuple(people for people, _ in PROVINCES.values())


def province(rng: random.Random) -> str:
    """A province, each as often as it has people."""
    return rng.choices(_CODES, _WEIGHTS)[0]


def district(rng: random.Random, province_code: str) -> str:
    """A district of a province, as ``32.73.01``."""
    return rng.choice(PROVINCES[province_code][1])


def village(rng: random.Random, district_code: str) -> str:
    """A village or urban ward of a district, as ``32.73.01.1001``: wards of cities begin with 1, villages with 2."""
    ward = district_code[3] in "789"
    return f"{district_code}.{1 if ward else 2}{rng.randint(1, 12):03}"


def regency(code: str) -> str:
    """The regency or city that a district or village lies in."""
    return code[:5]
