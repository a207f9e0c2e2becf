"""A class in one room: a question at a time, its votes, everybody's draws, and how far the lesson is released."""

from app.rooms.room import Closed, Room, Stage
from app.rooms.rooms import ROOMS, Rooms

__all__ = ["ROOMS", "Closed", "Room", "Rooms", "Stage"]
