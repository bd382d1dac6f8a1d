"""Real motion before real camera rigs: 2D joints for lifting."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from ..sequences.clips import SKELETON as SKELETON_28
from ..synthetic.rng import keyed_rng
from .cameras import Rig, read_rigs
from .sources import ViewSource, file_stamp
from .takes import TO_17, MotionTakes, Take, takes_to_columns
from .views import Views, apply_matrices, crop_matrix, square_boxes


@DATASETS.register_module()
class RigViews(ViewSource):
    """Captured motion, projected through published calibrations.

    Each person stands before one rig, turned and placed at random within
    the capture volume, the same for a clip. A clip that is longer than the
    volume walks on the spot: the path of its pelvis is pulled together
    until it fits. A view counts where all 17 joints lie inside the image;
    an instant that fewer than two cameras see is left out. 2D joints carry
    the lens's distortion, as detections in real images would.

    Args:
        sources (Sequence[dict]): As of ``MocapViews``.
        file (str): ``'cameras/h36m.json'`` or
            ``'cameras/mpi_inf_3dhp.json'`` below the data root.
        rigs (Sequence[str], optional): Which of its rigs, dealt to the
            people in turns. All by default.
        cameras (Sequence[str], optional): Names of cameras, e.g. those of
            MPI-INF-3DHP at the height of the chest. All by default.
        radius (float): Metres around the rig's middle that the pelvis
            stays in. Defaults to 1.
        padding (float): Side of a view's square over the box of its joints.
            Defaults to 1.2.
        people, fps, clips, seconds, seed: As of ``MocapViews``.
        name (str): Defaults to ``'rigs'``.

    Raises:
        FileNotFoundError: Motion or cameras are missing.
        ValueError: An argument is out of range, or nobody is seen by two
            cameras.
    """

    has_images = False

    def __init__(self, sources: Sequence[dict], file: str,
                 rigs: Sequence[str] | None = None,
                 cameras: Sequence[str] | None = None, radius: float = 1.,
                 padding: float = 1.2, people: int = 2, fps: float = 5.,
                 clips: int | None = None, seconds: float | None = None,
                 seed: int = 0, name: str = 'rigs') -> None:
        super().__init__(name)
        if radius < 0 or padding < 1:
            raise ValueError('radius must not be negative and padding be at '
                             f'least 1, got {radius} and {padding}')
        self.takes = MotionTakes(sources, people, fps, clips, seconds, seed)
        self.file, self.rigs, self.cameras = file, rigs, cameras
        self.radius, self.padding, self.seed = radius, padding, seed
        self.size = 1000

    def key(self, data_root: str) -> Mapping[str, Any]:
        """Arguments and files."""
        path = Path(data_root) / self.file
        return dict(kind='rigs', file=self.file, rigs=self.rigs,
                    cameras=self.cameras, radius=self.radius,
                    padding=self.padding,
                    stamp=file_stamp(path) if path.is_file() else None,
                    **self.takes.key(data_root))

    def read(self, data_root: str) -> Views:
        """Places, projects and checks."""
        rigs = [self._chosen(r) for r in read_rigs(
            Path(data_root) / self.file, self.rigs)]
        takes = self.takes.load(data_root)
        people = {p: i for i, p in enumerate(dict.fromkeys(
            t.person for t in takes))}
        poses, ups, rows = [], [], []
        first = 0
        for take in takes:
            rig = rigs[people[take.person] % len(rigs)]
            world = self._placed(take, rig)
            poses.append(TO_17 @ world)
            ups.append(rig.up)
            for camera in rig.cameras:
                pixels = camera.project(poses[-1])
                with np.errstate(invalid='ignore'):
                    seen = ((pixels >= 0) & (pixels <= np.array(
                        camera.size) - 1)).all((1, 2))
                for at in np.flatnonzero(seen).tolist():
                    rows.append((first + at, camera.name, camera,
                                 pixels[at]))
            first += len(world)
        if not rows:
            raise ValueError(f'{self.name}: nobody is inside any image of '
                             f'{self.file}; make radius smaller')
        rows.sort(key=lambda r: (r[0], r[1]))
        instant = np.array([r[0] for r in rows])
        enough = np.bincount(instant, minlength=first)[instant] >= 2
        print_log(
            f'{self.name}: {len(rows)} views with the whole person inside '
            f'the image, of {first} instants; {int((~enough).sum())} views '
            'have no second camera and are left out', 'current')
        if not enough.any():
            raise ValueError(f'{self.name}: no instant is seen by two '
                             'cameras; make radius smaller')
        rows = [r for r, keep in zip(rows, enough) if keep]
        points = np.stack([r[3] for r in rows])
        crops = crop_matrix(*square_boxes(points.min(1), points.max(1),
                                          self.padding), self.size)
        columns = takes_to_columns(takes)
        columns['up'] = np.array(ups, np.float32)
        return Views(
            **columns, poses=np.concatenate(poses).astype(np.float32),
            instant=instant[enough],
            cameras=np.array([r[1] for r in rows]),
            K=crops @ np.stack([r[2].K for r in rows]),
            R=np.stack([r[2].R for r in rows]),
            t=np.stack([r[2].t for r in rows]),
            keypoints=apply_matrices(crops, points).astype(np.float32),
            visible=np.full(points.shape[:2], 2, np.int8),
            paths=np.full(len(rows), ''), size=self.size)

    def _chosen(self, rig: Rig) -> Rig:
        if self.cameras is None:
            return rig
        names = [c.name for c in rig.cameras]
        lost = sorted(set(self.cameras) - set(names))
        if lost or len(self.cameras) < 2:
            raise ValueError(f'{self.name}: cameras must name two or more of '
                             f'{names} of rig {rig.name}, got '
                             f'{list(self.cameras)}')
        return Rig(rig.name, tuple(c for c in rig.cameras
                                   if c.name in self.cameras), rig.up)

    def _placed(self, take: Take, rig: Rig) -> np.ndarray:
        """(T, 28, 3) joints in the rig's world, mm."""
        rng = keyed_rng(self.seed, 'placed', take.name)
        turn = rng.uniform(0, 2 * np.pi)
        joints = take.joints.copy()
        path = joints[:, SKELETON_28.index('pelvis')[0], :2].copy()
        joints[..., :2] -= path[:, None]
        path -= (path.min(0) + path.max(0)) / 2
        reach = np.linalg.norm(path, axis=1).max(initial=0)
        room = self.radius * 1000
        path *= min(1., room / max(reach, 1e-6))
        left = room - min(reach, room)
        angle, far = rng.uniform(0, 2 * np.pi), left * rng.random() ** .5
        joints[..., :2] += path[:, None]
        cos, sin = np.cos(turn), np.sin(turn)
        joints[..., :2] = joints[..., :2] @ np.array([[cos, sin],
                                                      [-sin, cos]])
        joints[..., :2] += far * np.array([np.cos(angle), np.sin(angle)])
        if rig.up[1] > .5:  # z up becomes y up
            joints = joints[..., [1, 2, 0]]
        return joints + rig.middle()
