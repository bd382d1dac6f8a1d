"""What a practitioner would reach for instead, in the same house."""
from .mean_teacher import MeanTeacher
from .strong_view import StrongColours

__all__ = ['MeanTeacher', 'StrongColours']
