# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Furniture of each kind of room.

Each line: a class or a set of sets.py, the probability that it is tried at all, and how often at most.
"""
from __future__ import annotations

Line = tuple[str, float, int]

ROOM_TYPES: dict[str, tuple[Line, ...]] = {
    "living": (("stairs", 0.1, 1), ("fireplace", 0.4, 1), ("sofa set", 1.0, 1), ("bookcase", 0.75, 2), ("dining set", 0.55, 1),
               ("cabinet", 0.6, 2), ("desk set", 0.2, 1), ("chair", 0.3, 1), ("shelf", 0.4, 1), ("lamp", 0.6, 1),
               ("plant", 0.85, 3), ("picture", 1.0, 4), ("person", 0.12, 1), ("mirror", 0.2, 1)),
    "studio": (("bed set", 1.0, 1), ("sofa set", 0.75, 1), ("desk set", 0.85, 1), ("kitchen row", 0.3, 1),
               ("bookcase", 0.7, 1), ("cabinet", 0.7, 2), ("dining set", 0.4, 1), ("shelf", 0.4, 1), ("lamp", 0.5, 1),
               ("plant", 0.7, 2), ("picture", 1.0, 4), ("clothes", 0.6, 2), ("mirror", 0.4, 1), ("person", 0.12, 1)),
    "bedroom": (("bed set", 1.0, 1), ("cabinet", 0.95, 2), ("desk set", 0.55, 1), ("bookcase", 0.4, 1),
                ("mirror", 0.55, 1), ("chair", 0.45, 1), ("clothes", 0.75, 3), ("shelf", 0.3, 1), ("television", 0.25, 1),
                ("picture", 1.0, 3), ("plant", 0.5, 2), ("lamp", 0.4, 1), ("bag", 0.4, 1), ("person", 0.06, 1)),
    "kitchen": (("kitchen row", 1.0, 1), ("dining set", 0.85, 1), ("cabinet", 0.5, 1), ("shelf", 0.5, 1), ("bin", 0.8, 1),
                ("picture", 0.7, 2), ("plant", 0.4, 1), ("box", 0.4, 1), ("person", 0.1, 1), ("clothes", 0.15, 1)),
    "office": (("desk set", 1.0, 3), ("bookcase", 0.8, 2), ("cabinet", 0.8, 2), ("bin", 0.9, 1), ("shelf", 0.4, 1),
               ("dining set", 0.25, 1), ("plant", 0.75, 2), ("picture", 0.9, 3), ("box", 0.5, 2), ("person", 0.15, 1),
               ("sofa set", 0.12, 1), ("bag", 0.4, 1), ("blinds", 0.2, 1)),
    "bath": (("bath set", 1.0, 1), ("cabinet", 0.5, 1), ("bin", 0.6, 1), ("clothes", 0.6, 2), ("shelf", 0.4, 1),
             ("carpet", 0.7, 1), ("plant", 0.25, 1), ("radiator", 0.4, 1), ("mirror", 0.2, 1), ("box", 0.2, 1)),
    "store": (("bookcase", 0.9, 2), ("shelf", 1.0, 3), ("box", 1.0, 8), ("cabinet", 0.7, 2), ("washing machine", 0.5, 1),
              ("refrigerator", 0.25, 1), ("bag", 0.7, 3), ("bin", 0.7, 2), ("shoes", 0.5, 2), ("table", 0.3, 1),
              ("chair", 0.4, 2), ("sink", 0.2, 1), ("clothes", 0.4, 2), ("stairs", 0.3, 1), ("railing", 0.15, 1)),
    "hall": (("stairs", 0.6, 1), ("cabinet", 0.9, 2), ("mirror", 0.8, 1), ("clothes", 1.0, 3), ("shoes", 1.0, 4),
             ("bag", 0.7, 2),
             ("picture", 0.9, 3), ("railing", 0.3, 1), ("plant", 0.6, 2), ("carpet", 0.7, 1),
             ("chair", 0.4, 1), ("bookcase", 0.3, 1)),
    "corridor": (("stairs", 0.12, 1), ("railing", 0.15, 1), ("cabinet", 0.7, 2), ("picture", 1.0, 5),
                 ("plant", 0.7, 2), ("shelf", 0.35, 1), ("bookcase", 0.35, 1),
                 ("mirror", 0.3, 1), ("shoes", 0.4, 2), ("clothes", 0.4, 2), ("bin", 0.35, 1), ("box", 0.4, 2),
                 ("carpet", 0.35, 1), ("chair", 0.35, 2), ("bag", 0.2, 1), ("radiator", 0.3, 1),
                 ("lamp", 0.2, 1), ("person", 0.05, 1)),
}
"""Furniture by kind of room, in the order in which it is put, the most important first."""

ON_TOP: dict[str, tuple[str, ...]] = {
    "table": ("cup", "book", "bottle", "plant", "box"), "cabinet": ("book", "plant", "box", "bottle", "cup", "bag", "lamp"),
    "bookcase": ("book", "book", "book", "box", "cup", "bottle", "plant"),
    "fireplace": ("bottle", "book", "plant"),
    "shelf": ("book", "box", "bottle", "cup", "plant", "book"), "bed": ("pillow", "clothes", "bag", "book", "blanket"),
    "sofa": ("pillow", "blanket", "book", "bag"), "chair": ("clothes", "bag", "book", "pillow"),
    "washing machine": ("box", "bottle", "clothes"), "refrigerator": ("box",), "box": ("box", "book"),
    "dishwasher": ("cup", "bottle")}
"""Small things by the class that they stand on, in addition to those of the sets."""

MOST_ON_TOP = {"bookcase": 12, "shelf": 8, "cabinet": 3, "bed": 2, "sofa": 2, "chair": 1, "table": 3, "washing machine": 2,
               "fireplace": 3, "refrigerator": 1, "box": 1, "dishwasher": 1}
"""Largest number of them."""

CLUTTER: dict[str, tuple[str, ...]] = {
    "living": ("box", "bag", "shoes", "bin", "book", "pillow", "blanket"), "studio": ("box", "bag", "shoes", "bin", "clothes"),
    "bedroom": ("box", "bag", "shoes", "clothes", "pillow", "bin"), "kitchen": ("box", "bottle", "bag", "bin"),
    "office": ("box", "bag", "bin", "book"),
    "bath": ("clothes", "bin", "shoes", "bottle", "bag"), "store": ("box", "bag", "shoes", "bottle"),
    "hall": ("shoes", "bag", "box"), "corridor": ("box", "shoes", "bag", "bin")}
"""Things that lie on the floor along walls."""

FILL: dict[str, tuple[str, ...]] = {
    "living": ("cabinet", "bookcase", "chair", "plant", "shelf", "lamp", "table"),
    "studio": ("cabinet", "bookcase", "chair", "plant", "shelf"), "bedroom": ("cabinet", "chair", "bookcase", "plant", "table"),
    "kitchen": ("cabinet", "counter", "shelf", "refrigerator", "chair", "dishwasher", "washing machine"),
    "office": ("cabinet", "bookcase", "desk set", "plant", "shelf", "box"),
    "bath": ("cabinet", "shelf", "clothes", "plant", "washing machine"),
    "store": ("shelf", "box", "cabinet", "bookcase", "box", "bag"), "hall": ("cabinet", "shoes", "chair", "plant", "bookcase"),
    "corridor": ()}
"""Things added to rooms that are still bare."""

FILLED = 0.22
"""Share of the floor below which a room is bare."""

KINDS_HERE: dict[str, dict[str, tuple[str, ...]]] = {
    "living": {"cabinet": ("sideboard", "drawers", "cupboard"), "chair": ("armchair", "stool"), "table": ("side", "console")},
    "studio": {"cabinet": ("sideboard", "drawers", "wardrobe", "cupboard"), "chair": ("armchair", "dining")},
    "bedroom": {"cabinet": ("wardrobe", "wardrobe", "drawers", "sideboard"), "chair": ("armchair", "dining", "stool"),
                "table": ("side", "console")},
    "kitchen": {"cabinet": ("cupboard", "sideboard"), "chair": ("stool", "dining"), "counter": ("kitchen", "island", "bar")},
    "office": {"cabinet": ("file", "cupboard", "drawers")}, "bath": {"cabinet": ("drawers", "wall", "cupboard", "night")},
    "store": {"cabinet": ("cupboard", "file", "wall"), "shelf": ("rack", "rack", "wall"), "sink": ("kitchen",)},
    "hall": {"cabinet": ("sideboard", "drawers", "cupboard"), "chair": ("dining", "stool"), "table": ("console",)},
    "corridor": {"cabinet": ("sideboard", "drawers", "cupboard", "file"), "chair": ("dining", "shell"),
                 "shelf": ("wall", "rack")}}
"""Kinds of a class by kind of room; any kind for rooms that are not listed."""
