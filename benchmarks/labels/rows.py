"""The rows of the tables: what each is trained by."""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import torch

#: The paper's size, HRNet-W32 at 256 pixels, where a CUDA device can train it
#: (``LABELS_SIZE``: ``full`` or ``small``).
PAPER_SIZE = os.environ.get('LABELS_SIZE', 'full' if torch.cuda.is_available()
                            else 'small') == 'full'
#: Results and trainings of that size lie apart.
TAIL = '_full' if PAPER_SIZE else ''
#: Of the drawn maps, in cells, and of the soft-argmax.
SIGMA, TEMPERATURE = (2., .05) if PAPER_SIZE else (1., .1)
#: A side of the maps in cells.
CELLS = 64 if PAPER_SIZE else 16
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
#: Images a step where nothing else is said.
BATCH = 32
#: Steps of a row after its start; long rows have three times as many.
STEPS, LONG = 1200, 3


@dataclass(frozen=True)
class Row:
    """A form of training.

    Attributes:
        title (str): Of the table's line.
        model (str): Type of the model.
        options (dict): Its options, beside networks and preprocessor.
        counts (tuple[int, int]): Annotated and un-annotated images a step.
        recombination (dict | None): Options of ``Recombination``.
        ranges (str): Of the affine augmentation, key of ``data.RANGES``.
        colours (bool): ``StrongColours`` on every image.
        wrapper (str): Type of the optimizer wrapper.
        parts (dict): Other preparations than those of the child's name; ''
            for none.
        started (bool): At the common start; else at random weights.
        head (str): ``'heatmaps'`` or ``'coordinates'``: mmpose's own head
            and loss of these; '' for MirrorNet's.
        prior (float): Weight of a ``PosePriorLoss`` around that loss.
        teacher (str): Row whose weights are a fixed teacher's.
    """

    title: str
    model: str = 'PoseRecognition'
    options: dict[str, Any] = field(default_factory=dict)
    counts: tuple[int, int] = (BATCH, 0)
    recombination: dict[str, Any] | None = None
    ranges: str = 'plain'
    colours: bool = False
    wrapper: str = 'AutocastOptimWrapper'
    parts: dict[str, str] = field(default_factory=dict)
    teacher: str = ''
    started: bool = True
    head: str = ''
    prior: float = 0.

    @property
    def mirrored(self) -> bool:
        """Whether it has MirrorNet's parts, trained before unless ''."""
        return self.model == 'MirrorNet'


#: Scenes and appearance, from annotated people alone.
FULL: dict[str, Any] = dict(scene_prob=.8, appearance_prob=.5)
STILL: dict[str, float] = {}
ALONE: dict[str, Any] = dict(scene_prob=0., appearance_prob=0., jitter=STILL)
#: And from people who are not annotated, cut out by the model in training.
SCENES = dict(FULL, estimator='model')
HALF = (BATCH, BATCH)
TEACHER: dict[str, Any] = dict(
    momentum=.99, ramp_steps=STEPS // 6, sigma=SIGMA,
    temperature=TEMPERATURE,
    affine=dict(rotate=30., scale=(.75, 1.25), shift=.1),
    colours=dict(mean=MEAN, std=STD))


def _terms(form: str, *names: str, weight: float = 1.) -> dict[str, Any]:
    """MirrorNet with some of the generative terms."""
    known = dict(fidelity=('fidelity', 'kl_appearance', 'kl_scene'),
                 plausibility=('plausibility', 'kl_primitive'))
    weights = {t: weight * (n in names) for n, ts in known.items()
               for t in ts}
    return dict(pose_form=form, term_weights={
        t: w for t, w in weights.items() if w != 1.})


def _without(*parts: str) -> dict[str, str]:
    """Parts that have no work in a row are not trained for it."""
    return dict.fromkeys(parts, '')


#: Recombination is what the decomposition gives, and the terms rest.
RESTING = _terms('coordinates')
BOTH = ('fidelity', 'plausibility')
STILL_PARTS = ('mask_estimator', 'image_vae', 'pose_vae')
#: The rows that are compared at every share of labels.
MAIN = {
    'plain': Row('plain recognizer'),
    'supervised': Row(
        'supervised MirrorNet (recombination)', 'MirrorNet', RESTING,
        recombination=FULL, parts=_without('masks', 'images', 'poses')),
    'semi': Row('semi-supervised MirrorNet (recombination)', 'MirrorNet',
                RESTING, HALF, SCENES, parts=_without('images', 'poses')),
    'teacher': Row('mean teacher', 'MeanTeacher', TEACHER, HALF),
}
#: MirrorNet as the paper has it: the terms, through the recognizer's pose.
TERMS = {
    'literal': Row('the literal objective (Eq. 27)', 'MirrorNet', dict(
        generative_input='annotation', pose_form='heatmaps',
        sample_pose=True)),
    **{f'{name}-{short}': Row(f'{name}, as {short}', 'MirrorNet', _terms(
        form, name)) for name in ('plausibility', 'fidelity')
        for short, form in (('maps', 'heatmaps'),
                            ('coordinates', 'coordinates'))},
    'terms-maps': Row('both, as maps', 'MirrorNet',
                      dict(pose_form='heatmaps')),
    'terms-coordinates': Row('both, as coordinates', 'MirrorNet'),
    'terms-still': Row('both, as coordinates, of VAEs that rest', 'MirrorNet',
                       dict(frozen=STILL_PARTS)),
}
#: Table 9, a quarter of its batch of 128.
COMPOSITIONS = {
    f'mix-{a}-{BATCH - a}': Row(
        f'semi-supervised, both terms, {4 * a} + {4 * (BATCH - a)}',
        'MirrorNet', counts=(a, BATCH - a)) for a in (8, 12, 16, 20, 24)}
#: Recombination's parts, on the plain recognizer; all of them is the row
#: ``supervised``.
PARTS = {
    'recombination': Row(
        'recombination, scenes of all images', counts=HALF,
        recombination=dict(SCENES, keep_unannotated=False)),
    'capsules': Row('the same without silhouettes',
                    recombination=dict(FULL, mattes='capsules')),
    'recombination-filled': Row(
        'the same, black borders of scenes filled',
        recombination=dict(FULL, fill_borders=True)),
    'background': Row('background alone', recombination=dict(
        ALONE, scene_prob=.8)),
    'appearance': Row('appearance alone', recombination=dict(
        ALONE, appearance_prob=.5)),
    'jitter': Row('colour jitter alone', recombination=dict(
        ALONE, jitter=dict(brightness=.2, contrast=.2, saturation=.2))),
    'occluders': Row('people behind and in front alone', recombination=dict(
        ALONE, behind_prob=.3, front_prob=.3)),
    'recombination-occluders': Row(
        'recombination and occluders, annotated images alone',
        recombination=dict(FULL, behind_prob=.3, front_prob=.3)),
}
#: What a practitioner would try, and what the benchmark itself decides.
RIVALS = {
    'strong': Row('strong augmentation', ranges='strong', colours=True),
    'strong-average': Row(
        'the same, averaged weights', 'MeanTeacher',
        dict(TEACHER, colours=None), ranges='strong', colours=True),
    'teacher-maps': Row('mean teacher, its maps as targets', 'MeanTeacher',
                        dict(TEACHER, target='maps'), HALF),
    'teacher-recombination': Row(
        'mean teacher, recombined annotated images', 'MeanTeacher', TEACHER,
        HALF, recombination=dict(FULL, scenes='annotated')),
    'float32': Row('plain recognizer in float32', wrapper='OptimWrapper'),
}
#: In other scenes for the student, as they are for the teacher.
EVERYBODY = dict(FULL, mean=MEAN, std=STD, estimator='model',
                 recombined='all')
TAUGHT = dict(TEACHER, ramp_steps=0, evaluate='student')
#: On top of recombination: what else the diagnostics point to.
BEYOND = {
    'consistency': Row(
        'mean teacher, all people in other scenes', 'MeanTeacher',
        dict(TEACHER, recombination=EVERYBODY), HALF),
    'self-training': Row(
        'taught by recombination, all people in other scenes', 'MeanTeacher',
        dict(TAUGHT, recombination=EVERYBODY), HALF, teacher='supervised'),
    'self-training-still': Row(
        'the same, un-annotated people in their own', 'MeanTeacher',
        dict(TAUGHT, recombination=dict(EVERYBODY, recombined='annotated')),
        HALF, teacher='supervised'),
    'supervised-terms': Row(
        'supervised MirrorNet and both terms', 'MirrorNet',
        recombination=FULL),
    'semi-terms': Row('semi-supervised MirrorNet and both terms',
                      'MirrorNet', counts=HALF, recombination=SCENES),
    'sleep': Row('supervised MirrorNet and its sleep phase', 'MirrorNet',
                 dict(RESTING, sleep_weight=.5, frozen=STILL_PARTS),
                 recombination=FULL, parts=_without('poses')),
    'better-masks': Row(
        'semi-supervised, masks learnt four times as long', 'MirrorNet',
        RESTING, HALF, SCENES,
        parts=dict(_without('images', 'poses'), masks='masks-more')),
    'fidelity-tight': Row(
        'fidelity of a tight appearance, on recombined images', 'MirrorNet',
        _terms('coordinates', 'fidelity'), recombination=FULL,
        parts=dict(_without('poses'), images='images-tight')),
}
#: The prior stays what its poses made it.
PRIOR = dict(_terms('coordinates', 'plausibility'),
             frozen=('mask_estimator', 'pose_vae'))
#: Poses without their images: of captured motion seen by random cameras, and
#: of all training people.
PRIORS = {
    'prior': Row('plausibility, poses of the annotated', 'MirrorNet', PRIOR,
                 HALF, parts=_without('masks', 'images')),
    'prior-mocap': Row(
        'plausibility, poses of captured motion', 'MirrorNet', PRIOR, HALF,
        parts=dict(_without('masks', 'images'), poses='poses-mocap')),
    'prior-all': Row(
        'plausibility, poses of everybody', 'MirrorNet', PRIOR, HALF,
        parts=dict(_without('masks', 'images'), poses='poses-all')),
}
#: Images, and poses of other images, and not a single pair. A batch needs an
#: annotated image, which teaches nothing but what the others do.
UNPAIRED = {
    'unpaired': Row(
        'no pairs: both terms alone, from random weights', 'MirrorNet',
        dict(recognition_weight=0., frozen=('pose_vae', )), (1, 63),
        started=False, parts=_without('masks', 'images')),
}
#: A pose VAE in the loss of an ordinary mmpose head.
PRIOR_LOSS = {
    'maps': Row('heatmap head', 'TopdownPoseEstimator', head='heatmaps'),
    'maps-prior': Row('heatmap head and PosePriorLoss',
                      'TopdownPoseEstimator', head='heatmaps',
                      prior=1 / (50 * 16 * CELLS**2),  # MirrorNet's
                      parts=dict(poses='poses')),
    'coordinates': Row('regression head', 'TopdownPoseEstimator',
                       head='coordinates'),
    'coordinates-prior': Row(
        'regression head and PosePriorLoss', 'TopdownPoseEstimator',
        head='coordinates', prior=3e-6, parts=dict(poses='poses')),
}
#: Every form gets three trials: these two, and the row that they vary.
TUNING = {
    'tune-scenes-50': Row(
        'supervised, scenes .5', recombination=dict(FULL, scene_prob=.5)),
    'tune-scenes-100': Row(
        'supervised, scenes 1', recombination=dict(FULL, scene_prob=1.)),
    'tune-strong-colours': Row('strong augmentation, colours alone',
                               colours=True),
    'tune-strong-places': Row('strong augmentation, places alone',
                              ranges='strong'),
    'tune-teacher-3': Row(
        'mean teacher, weight 3', 'MeanTeacher',
        dict(TEACHER, consistency_weight=3.), HALF),
    'tune-teacher-999': Row(
        'mean teacher, momentum .999', 'MeanTeacher',
        dict(TEACHER, momentum=.999), HALF),
    'tune-terms-3': Row('both terms, weight .3', 'MirrorNet',
                        _terms('coordinates', *BOTH, weight=.3)),
    'tune-terms-1': Row('both terms, weight .1', 'MirrorNet',
                        _terms('coordinates', *BOTH, weight=.1)),
}
ROWS = {**MAIN, **TERMS, **COMPOSITIONS, **PARTS, **RIVALS, **BEYOND,
        **PRIORS, **UNPAIRED, **PRIOR_LOSS, **TUNING}
#: Rows that are also run three times as long, as NAME-long.
LONGER = ('plain', 'supervised', 'semi', 'teacher', 'strong', 'consistency',
          'self-training')
#: Forms that an issue may ask for and the house has no value for.
UNSUPPORTED = (
    'plausibility of sampled coordinates (Eq. 20 samples heatmaps only)',
    'a learned v_alpha of the recognizer',
    'the generative parts held still on un-annotated images alone '
    '(spec T1.5 iii); `frozen` holds them still on all',
    'pre-training on maps with noise (spec T1.7)',
)
