"""Pictures as plain geometry: where lines, bands and labels stand; templates draw them as SVG, style sheets colour
them.

A picture says nothing that its page does not say in words and tables as well.
"""

from inventory.web.pictures.scales import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, round_figures, round_up
from inventory.web.pictures.shares import Progress, progress
from inventory.web.pictures.stocks import Ahead, Mark, Outlook, outlook
from inventory.web.pictures.uses import Stacked, stacked

__all__ = [
    "BOTTOM",
    "HEIGHT",
    "LEFT",
    "RIGHT",
    "TOP",
    "WIDTH",
    "Ahead",
    "Mark",
    "Outlook",
    "Progress",
    "Stacked",
    "outlook",
    "progress",
    "round_figures",
    "round_up",
    "stacked",
]
