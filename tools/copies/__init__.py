"""Copies of the book to take along: what `tools.pdf`, `epub` and `course` share.

All are made of the built site, so that a formula, number or citation reads as it does
there: `articles` finds the pages and their order, `plain` takes away what only a screen
has, `links` lets them point to each other in one document.
"""
