"""A fixture of MPI-INF-3DHP's documented layout."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat
from scipy.spatial.transform import Rotation

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/mpi_inf_3dhp.py'
K = np.array([[375., 0, 256], [0, 375, 260], [0, 0, 1]])


def turn_of(camera):
    return np.diag([1., -1, -1]) @ Rotation.from_euler(
        'Y', 40 * camera - 40, degrees=True).as_matrix()


def motion(subject, frames):
    rng = np.random.default_rng(subject)
    rest = rng.normal(0, 300, (28, 3)) + [0, 1000, 0]
    return rest + 8 * np.arange(frames)[:, None, None]


def write_sequence(root, subject, frames=26, cameras=3):
    folder = root / f'S{subject}' / 'Seq1'
    (folder / 'imageSequence').mkdir(parents=True)
    world = motion(subject, frames)
    two, three = (np.empty((cameras, 1), object) for _ in range(2))
    text = 'Skeletool Camera Calibration File V1.0\n'
    for c in range(cameras):
        rt, four = np.eye(4), np.eye(4)
        rt[:3, :3], rt[:3, 3], four[:3, :3] = turn_of(c), [0, 900, 4000], K
        seen = world @ rt[:3, :3].T + rt[:3, 3]
        pixels = seen @ K.T
        pixels = pixels[..., :2] / pixels[..., 2:]
        two[c, 0] = pixels.reshape(frames, 56)
        three[c, 0] = seen.reshape(frames, 84)
        text += (f'name {c}\n  intrinsic '
                 + ' '.join(f'{v:.9g}' for v in four.ravel())
                 + '\n  extrinsic '
                 + ' '.join(f'{v:.9g}' for v in rt.ravel()) + '\n')
        video = cv2.VideoWriter(
            str(folder / 'imageSequence' / f'video_{c}.avi'),
            cv2.VideoWriter_fourcc(*'MJPG'), 25, (512, 512))
        for t in range(frames if c != 2 else frames - 10):
            image = np.zeros((512, 512, 3), np.uint8)
            cv2.circle(image, tuple(int(round(v)) for v in pixels[t, 6]),
                       15, (255, 255, 255), -1)
            video.write(image)
        video.release()
    savemat(folder / 'annot.mat', dict(annot2=two, annot3=three))
    (folder / 'camera.calibration').write_text(text)
    return world
