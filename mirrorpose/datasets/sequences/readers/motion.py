"""What all readers give: named nodes in space."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..clips import SKELETON


@dataclass(frozen=True)
class RecordedMotion:
    """Positions of the nodes of a file.

    Attributes:
        nodes (tuple[str]): J names.
        positions (np.ndarray): (T, J, 3) float64, in the file's unit of
            length and axes.
        fps (float): Frames per second.
        where (str): The file, for messages.
    """

    nodes: tuple[str, ...]
    positions: np.ndarray
    fps: float
    where: str

    def matrix(self, joints: Mapping[str, str | Mapping[str, float]]
               ) -> np.ndarray:
        """Which nodes make which of the 28 joints.

        Args:
            joints (Mapping): Joint to node, or to weights of nodes.

        Returns:
            np.ndarray: (28, J) float32; rows of zeros are absent.

        Raises:
            ValueError: An unknown joint or node.
        """
        out = np.zeros((len(SKELETON), len(self.nodes)), np.float32)
        for joint, source in joints.items():
            row, = SKELETON.index(joint)
            weights = ({source: 1.} if isinstance(source, str) else source)
            unknown = sorted(set(weights) - set(self.nodes))
            if unknown:
                raise ValueError(
                    f'{self.where}: {joint!r} is made of {unknown}, but the '
                    f'nodes are {list(self.nodes)}; pass another joint map')
            for node, weight in weights.items():
                out[row, self.nodes.index(node)] = weight
        return out
