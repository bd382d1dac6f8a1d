"""One optimizer a child, or a group of children, of a model."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.model import MMSeparateDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as ROOT
from mmpose.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

__all__ = ['PerChildOptimWrapperConstructor', 'members']


def members(wrapper: Any) -> dict[str, OptimWrapper]:
    """The wrappers of all optimizers of a run, by name.

    Args:
        wrapper (OptimWrapper | OptimWrapperDict): A runner's; one that
            stands alone is called ``'all'``.
    """
    if isinstance(wrapper, OptimWrapperDict):
        return dict(wrapper.items())
    return dict(all=wrapper)


class _Group(nn.ModuleDict):
    """Children under their names; frozen parameters are left out.

    So ``paramwise_cfg`` matches names as they stand in the model, and no
    optimizer holds what never moves.
    """

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        for parameter in super().parameters(recurse):
            if parameter.requires_grad:
                yield parameter


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PerChildOptimWrapperConstructor:
    """Builds an ``OptimWrapperDict`` from one config an optimizer.

    ::

        optim_wrapper = dict(
            constructor='PerChildOptimWrapperConstructor',
            critic=dict(optimizer=dict(type='Adam', lr=1e-4)),
            generator=dict(type='AutocastOptimWrapper',
                           optimizer=dict(type='Adam', lr=1e-4),
                           clip_grad=dict(max_norm=1.),
                           paramwise_cfg=dict(norm_decay_mult=0.),
                           children=['generator', 'encoder']))

    Every entry is what ``optim_wrapper`` alone would be, with one more key:
    ``children``, the names of the model's direct children that it holds (by
    default the child of the entry's own name). An entry may name a
    ``constructor`` of its own. ``param_scheduler`` may be a dict by the same
    names. Where gradients are clipped, their norm is logged as
    ``grad_norm_{name}``.

    Args:
        optim_wrapper_cfg (dict): The entries.
        paramwise_cfg (dict, optional): For the entries that have none.

    Raises:
        TypeError: An entry is not a dict.
        ValueError: An entry has no optimizer, names a child that is not
            there or has nothing to train; a parameter that can be trained is
            in no entry, or in two; or several processes train a model whose
            children train in turn in another wrapper than
            ``PerChildDistributedDataParallel``.
    """

    def __init__(self, optim_wrapper_cfg: dict,
                 paramwise_cfg: dict | None = None) -> None:
        self.entries = dict(optim_wrapper_cfg)
        self.paramwise_cfg = paramwise_cfg
        # tools/train.py of mmpose writes type='AmpOptimWrapper' on top, and
        # a config that inherits another's single optimizer keeps it.
        beside = {'type', 'optimizer', 'clip_grad'} & set(self.entries)
        if beside:
            raise ValueError(
                f'{sorted(beside)} of a single optimizer stand beside several'
                f' ones in optim_wrapper ({sorted(self.entries)}): put them '
                'into each entry; a config that inherits them needs '
                "_delete_=True in optim_wrapper; for --amp, use mirrorpose's "
                'tools/train.py')
        for name, entry in self.entries.items():
            if not isinstance(entry, Mapping):
                raise TypeError(
                    f'optim_wrapper.{name} has to be a dict(optimizer=..., '
                    f'children=[...]), got {entry!r}')
            if 'optimizer' not in entry:
                raise ValueError(f'optim_wrapper.{name} has no optimizer, '
                                 f'only {sorted(entry)}')
        if not self.entries:
            raise ValueError('optim_wrapper names no optimizer')

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Builds the optimizers of a model, wrapped or not."""
        bare: Any = model
        if is_model_wrapper(bare):
            bare = bare.module
            if hasattr(bare, 'check_optimizers') and not isinstance(
                    model, MMSeparateDistributedDataParallel):
                raise ValueError(
                    f'{type(model).__name__} cannot train '
                    f'{type(bare).__name__}, whose children train in turn: '
                    'set model_wrapper_cfg=dict(type='
                    "'PerChildDistributedDataParallel')")
        children: dict[str, Any] = {
            name: child.module if is_model_wrapper(child) else child
            for name, child in bare.named_children()}
        held = {name: self._names(name, children) for name in self.entries}
        self._check(bare, children, held)
        if hasattr(bare, 'check_optimizers'):
            bare.check_optimizers(held)
        return OptimWrapperDict(**{
            name: self._build(name, _Group({n: children[n] for n in names}))
            for name, names in held.items()})

    def _names(self, name: str, children: Mapping[str, nn.Module]
               ) -> list[str]:
        names = self.entries[name].get('children', [name])
        if isinstance(names, str) or not names:
            raise ValueError(f'optim_wrapper.{name}.children lists names of '
                             f'children, got {names!r}')
        unknown = [n for n in names if n not in children]
        if unknown:
            raise ValueError(
                f'optim_wrapper.{name} holds {unknown}, but the model has '
                f'the children {sorted(children)}: set optim_wrapper.{name}.'
                'children')
        if not any(p.requires_grad for n in names
                   for p in children[n].parameters()):
            raise ValueError(f'optim_wrapper.{name} holds {list(names)}, '
                             'which have no parameter that can be trained')
        return list(names)

    @staticmethod
    def _check(model: nn.Module, children: Mapping[str, nn.Module],
               held: Mapping[str, list[str]]) -> None:
        """Every parameter that can be trained is in exactly one entry."""
        owner: dict[int, tuple[str, str]] = {}
        for name, names in held.items():
            for child in names:
                for key, parameter in children[child].named_parameters():
                    path = f'{child}.{key}'
                    first = owner.setdefault(id(parameter), (name, path))
                    if first[0] != name and parameter.requires_grad:
                        same = '' if first[1] == path else \
                            f' (the same tensor as {first[1]})'
                        raise ValueError(
                            f'{path}{same} is in two optimizers, '
                            f'{first[0]!r} and {name!r}: list each child '
                            'under one')
        missing = [key for key, p in model.named_parameters()
                   if p.requires_grad and id(p) not in owner]
        if missing:
            absent = sorted({key.split('.')[0] for key in missing})
            raise ValueError(
                f'{len(missing)} parameters are in no optimizer, the first '
                f'is {missing[0]}: add {absent} to the children of one of '
                f'{sorted(held)}, or freeze them')

    def _build(self, name: str, group: _Group) -> OptimWrapper:
        entry = {k: v for k, v in self.entries[name].items()
                 if k != 'children'}
        kind = entry.pop('constructor', 'DefaultOptimWrapperConstructor')
        paramwise = entry.pop('paramwise_cfg', self.paramwise_cfg)
        constructor = ROOT.build(dict(
            type=kind, optim_wrapper_cfg=entry, paramwise_cfg=paramwise))
        wrapper = constructor(group)
        if getattr(wrapper, 'clip_grad_kwargs', None):
            # mmengine would log all of them under one name.
            wrapper.grad_name = f'{wrapper.grad_name}_{name}'
        return wrapper
