"""What ``tools/doctor.py`` and ``tools/profile.py`` know.

``findings``, ``distributions``, ``probes``, ``packages`` and ``machine``
import the standard library alone, so that they can report on an environment
in which nothing else works; ``tools/doctor.py`` imports them without
``mirrorpose/__init__.py``. The others need the stack.
"""
