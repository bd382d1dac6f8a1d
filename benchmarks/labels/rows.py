"""The rows of the tables: what each is trained by."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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

    @property
    def generative(self) -> bool:
        """Whether it needs trained generative parts."""
        return self.model == 'MirrorNet'


#: Scenes and appearance, from annotated people alone.
FULL: dict[str, Any] = dict(scene_prob=.8, appearance_prob=.5)
STILL: dict[str, float] = {}
ALONE: dict[str, Any] = dict(scene_prob=0., appearance_prob=0., jitter=STILL)
#: And from people who are not annotated, cut out by the model in training.
SCENES = dict(FULL, estimator='model')
HALF = (BATCH, BATCH)
TEACHER: dict[str, Any] = dict(
    momentum=.99, ramp_steps=STEPS // 6, sigma=1., temperature=.1,
    affine=dict(rotate=30., scale=(.75, 1.25), shift=.1),
    colours=dict(mean=MEAN, std=STD))


def _terms(form: str, *names: str) -> dict[str, Any]:
    """MirrorNet with some of the generative terms."""
    known = dict(fidelity=('fidelity', 'kl_appearance', 'kl_scene'),
                 plausibility=('plausibility', 'kl_primitive'))
    absent = [t for n, ts in known.items() if n not in names for t in ts]
    return dict(pose_form=form, term_weights=dict.fromkeys(absent, 0.))


#: The rows that are compared at every share of labels.
MAIN = {
    'plain': Row('plain recognizer'),
    'supervised': Row('supervised MirrorNet (recombination)', 'MirrorNet',
                      recombination=FULL),
    'semi': Row('semi-supervised MirrorNet (recombination)', 'MirrorNet',
                counts=HALF, recombination=SCENES),
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
}
#: Table 9, a quarter of its batch of 128.
COMPOSITIONS = {
    f'mix-{a}-{BATCH - a}': Row(
        f'semi-supervised, both terms, {4 * a} + {4 * (BATCH - a)}',
        'MirrorNet', counts=(a, BATCH - a)) for a in (8, 12, 16, 20, 24)}
#: Recombination's parts, on the plain recognizer.
PARTS = {
    'recombination': Row(
        'recombination, scenes of all images', counts=HALF,
        recombination=dict(SCENES, keep_unannotated=False)),
    'recombination-annotated': Row(
        'recombination, annotated images alone', recombination=FULL),
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
        dict(TAUGHT, recombination=EVERYBODY), HALF,
        teacher='recombination-annotated'),
    'self-training-still': Row(
        'the same, un-annotated people in their own', 'MeanTeacher',
        dict(TAUGHT, recombination=dict(EVERYBODY, recombined='annotated')),
        HALF, teacher='recombination-annotated'),
    'sleep': Row('supervised MirrorNet and its sleep phase', 'MirrorNet',
                 dict(sleep_weight=.5), recombination=FULL),
    'better-masks': Row(
        'semi-supervised, masks learnt four times as long', 'MirrorNet',
        counts=HALF, recombination=SCENES, parts=dict(masks='masks-more')),
    'fidelity-tight': Row(
        'fidelity of a tight appearance, on recombined images', 'MirrorNet',
        _terms('coordinates', 'fidelity'), recombination=FULL,
        parts=dict(images='images-tight')),
}
#: Poses without their images: of captured motion seen by random cameras, and
#: of all training people; and images and poses without a single pair.
PRIORS = {
    'prior-mocap': Row(
        'plausibility, poses of captured motion', 'MirrorNet',
        _terms('coordinates', 'plausibility'), HALF,
        parts=dict(poses='poses-mocap')),
    'prior-all': Row(
        'plausibility, poses of everybody', 'MirrorNet',
        _terms('coordinates', 'plausibility'), HALF,
        parts=dict(poses='poses-all')),
    'unpaired': Row(
        'no pairs: both terms alone, from random weights', 'MirrorNet',
        dict(recognition_weight=0., frozen=()), HALF, started=False,
        parts=dict(masks='', images='', poses='poses-all')),
}
ROWS = {**MAIN, **TERMS, **COMPOSITIONS, **PARTS, **RIVALS, **BEYOND,
        **PRIORS}
#: Rows that are also run three times as long, as NAME-long.
LONGER = ('plain', 'supervised', 'semi', 'teacher', 'strong',
          'recombination', 'recombination-annotated', 'consistency',
          'self-training')
#: Forms that an issue may ask for and the house has no value for.
UNSUPPORTED = (
    'plausibility of sampled coordinates (Eq. 20 samples heatmaps only)',
    'a learned v_alpha of the recognizer',
    'the generative parts held still on un-annotated images alone '
    '(spec T1.5 iii); `frozen` holds them still on all',
    'pre-training on maps with noise (spec T1.7)',
)
