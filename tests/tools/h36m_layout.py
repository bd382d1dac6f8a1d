"""A fixture of Human3.6M's layout, as mmpose's script writes it."""
from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np

from mirrorpose.datasets.multiview.cameras import RealCamera
from mirrorpose.datasets.multiview.prepared import H36M_17_OF_32
from mirrorpose.datasets.synthetic.camera import look_at

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/h36m.py'
CAMERAS = ('54138969', '55011271', '58860488', '60457274')
PLACES = ((2000, 5000, 1500), (1800, -5000, 1600), (-1800, 5200, 1500),
          (-1800, -3700, 1570))
LENS = np.array([-.2, .24, -.0014, -.001, -.003])


def camera(c, subject):
    view = look_at(CAMERAS[c], np.array(PLACES[c], float),
                   np.array([0, 100. * subject, 900]), c, 1145, 1000)
    return RealCamera(CAMERAS[c], view.K, view.R, view.t, LENS, (1000, 1000))


def motion(subject, frames):
    rng = np.random.default_rng(subject)
    start = rng.uniform(-500, 500, (32, 3)) + [0, 100 * subject, 900]
    return start + 10 * np.arange(frames)[:, None, None]


def picture(pixels):
    image = np.zeros((1000, 1000, 3), np.uint8)
    cv2.circle(image, tuple(int(round(v)) for v in pixels), 40,
               (255, 255, 255), -1)
    return image


# -- what mmpose's script writes ------------------------------------------
def write_mmpose(root, frame='world', subjects=(1, 9), frames=(0, 5, 10),
                 held_out=(9, )):
    folder = root / 'annotation_body3d' / 'fps10'
    folder.mkdir(parents=True)
    table = {}
    for s in subjects:
        for c in range(4):
            cam = camera(c, s)
            table[f'S{s}', CAMERAS[c]] = dict(
                R=cam.R.T, T=cam.center[:, None] / 1000,
                c=cam.K[:2, 2:], f=np.diag(cam.K)[:2, None],
                k=LENS[[0, 1, 4], None], p=LENS[2:4, None], w=1000, h=1000,
                name=f'camera{c + 1}', id=CAMERAS[c])
    (root / 'annotation_body3d' / 'cameras.pkl').write_bytes(
        pickle.dumps(table))
    for part, chosen in (
            ('train', [s for s in subjects if s not in held_out]),
            ('test', [s for s in subjects if s in held_out])):
        names, two, three = [], [], []
        for s in chosen:
            points = motion(s, max(frames) + 1)[:, list(H36M_17_OF_32)]
            for c in range(4):
                cam = camera(c, s)
                base = f'S{s}_Walking_1.{CAMERAS[c]}'
                for t in frames:
                    pose = points[t]
                    pixels = cam.project(pose)
                    names.append(f'S{s}/{base}/{base}_{t + 1:06d}.jpg')
                    path = root / 'images' / names[-1]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(path), picture(pixels[10]))
                    two.append(np.c_[pixels, np.ones(17)])
                    if frame == 'camera':
                        pose = cam.to_camera(pose)
                    three.append(np.c_[pose / 1000, np.ones(17)])
        if chosen:
            np.savez(folder / f'h36m_{part}.npz', imgname=np.array(names),
                     part=np.array(two), S=np.array(three),
                     center=np.zeros((len(names), 2)),
                     scale=np.ones(len(names)))
    return root
