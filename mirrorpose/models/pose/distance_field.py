"""Squared distance of every pixel to the nearest of many segments.

The minimum over the segments has the gradient of the nearest one alone, so
the backward pass looks at one segment a pixel, whatever their number.
"""
from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ['nearest_segment_field']

#: Floor of the squared length by which a projection is divided.
FLOOR = 1e-6
#: Side in pixels of the tiles of the CPU form; 4 and 16 are slower.
TILE = 8
#: Elements of the largest temporary: CPU (stays in the second cache), other.
CHUNK, CHUNK_DEVICE = 1 << 16, 1 << 26


def _axis(size: int, like: Tensor) -> Tensor:
    return torch.linspace(-1, 1, size, dtype=like.dtype, device=like.device)


def _squared(dx: Tensor, dy: Tensor, vx: Tensor, vy: Tensor,
             inverse: Tensor) -> Tensor:
    """|u - a - t v|^2, all arguments broadcast; nothing large cancels."""
    t = (dx * (vx * inverse) + dy * (vy * inverse)).clamp_(0, 1)
    rx = torch.addcmul(dx, t, vx, value=-1)
    ry = torch.addcmul(dy, t, vy, value=-1)
    return rx.mul_(rx).addcmul_(ry, ry)


def _parameters(a: Tensor, b: Tensor) -> Tensor:
    """(5, B, E): a, b - a, and one over its floored squared length."""
    v = b - a
    inverse = v.square().sum(-1).clamp(min=FLOOR).reciprocal()
    return torch.stack([a[..., 0], a[..., 1], v[..., 0], v[..., 1], inverse])


def _dense(p: Tensor, size: tuple[int, int],
           most: int) -> tuple[Tensor, Tensor]:
    """Every pixel with every segment."""
    (h, w), (_, n, e) = size, p.shape
    x, y = _axis(w, p), _axis(h, p)[:, None]
    field = p.new_empty(n, h, w)
    winner = torch.zeros((n, h, w) if e > 1 else (n, 1, 1),
                         dtype=torch.long, device=p.device)
    step = max(1, most // (e * h * w))
    for i in range(0, n, step):
        ax, ay, vx, vy, inverse = p[:, i:i + step, :, None, None].unbind()
        d = _squared(x - ax, y - ay, vx, vy, inverse)
        if e == 1:
            field[i:i + step] = d[:, 0]
        else:
            field[i:i + step], winner[i:i + step] = d.min(1)
    return field, winner


def _candidates(p: Tensor, size: tuple[int, int]) -> Tensor:
    """Which segments can be nearest somewhere in a tile, (B, Th, Tw, E).

    A distance changes by at most the way walked: from the centre of a tile
    to its pixels that is half its diagonal, for the nearest and for the
    other.
    """
    h, w = size
    step = (2 / (h - 1), 2 / (w - 1))
    y, x = (-1 + s * ((TILE - 1) / 2 + TILE * torch.arange(
        -(-n // TILE), dtype=p.dtype)) for n, s in zip(size, step))
    ax, ay, vx, vy, inverse = p[..., None, None].unbind()
    d = _squared(x - ax, y[:, None] - ay, vx, vy, inverse).sqrt_()
    across = (TILE - 1) * (step[0]**2 + step[1]**2)**.5
    # The last terms are for rounding; a NaN is to be seen in the field.
    far = d > d.amin(1, keepdim=True) * (1 + 1e-5) + across + 1e-5
    return ~far.permute(0, 2, 3, 1)


def _tiled(p: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Every pixel with the segments that can be nearest in its tile.

    Tiles are sorted by their number of candidates, so those that have an
    r-th one are the first so many; they lie along the last axis, where
    elementwise kernels are quick.
    """
    (h, w), (_, n, e) = size, p.shape
    near = _candidates(p, size)
    th, tw = near.shape[1:3]
    near = near.reshape(-1, e)
    count = near.sum(1)
    order = count.argsort(descending=True, stable=True)
    having = torch.bincount(count, minlength=e + 1).flip(0).cumsum(0).flip(0)
    tile, limb = near.nonzero(as_tuple=True)
    ranked = torch.zeros_like(near, dtype=torch.long)
    ranked[tile, (near.cumsum(1) - 1)[tile, limb]] = limb
    ranked = ranked[order].t().contiguous()

    within = order % (th * tw)
    row, column = within // tw, within % tw
    images = order // (th * tw) * e
    dy, dx = (2 / (s - 1) * torch.arange(TILE, dtype=p.dtype)[:, None]
              for s in (h, w))
    y0 = -1 + row.to(p.dtype) * (TILE * 2 / (h - 1))
    x0 = -1 + column.to(p.dtype) * (TILE * 2 / (w - 1))
    flat = p.reshape(5, -1)
    best = p.new_full((TILE, TILE, len(order)), torch.inf)
    rank = torch.zeros(best.shape, dtype=torch.uint8)
    for r, m in enumerate(having[1:].tolist()):
        if not m:
            break
        ax, ay, vx, vy, inverse = flat[:, ranked[r, :m] + images[:m]]
        d = _squared((x0[:m] - ax + dx)[None], (y0[:m] - ay + dy)[:, None],
                     vx, vy, inverse)
        head = best[..., :m]
        rank[..., :m].masked_fill_(d < head, r)
        torch.minimum(head, d, out=head)
    winner = ranked.gather(0, rank.view(-1, len(order)).long())

    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))

    def unfold(values: Tensor) -> Tensor:
        values = values.view(TILE * TILE, -1).index_select(1, place)
        values = values.view(TILE, TILE, n, th, tw).permute(2, 3, 0, 4, 1)
        return values.reshape(n, th * TILE, tw * TILE)[:, :h, :w]

    return unfold(best).contiguous(), unfold(winner).contiguous()


def _sums(values: list[Tensor], winner: Tensor, segments: int) -> Tensor:
    """Sums over the pixels that each segment won, (len(values), B, E).

    Both forms add in a fixed order: training can be repeated exactly.
    """
    n = len(winner)
    if segments == 1:
        return torch.stack([v.flatten(1).sum(1) for v in values])[..., None]
    if winner.device.type == 'cpu':
        base = torch.arange(n)[:, None] * segments
        index = (winner.flatten(1) + base).flatten()
        return torch.stack([torch.bincount(
            index, v.flatten().double(), minlength=n * segments)
            for v in values]).view(len(values), n, segments)
    won = winner.flatten(1)[..., None] == torch.arange(
        segments, device=winner.device)
    stacked = torch.stack([v.flatten(1) for v in values], 1)
    with torch.autocast(stacked.device.type, enabled=False):
        return torch.bmm(stacked, won.to(stacked.dtype)).permute(1, 0, 2)


def _slopes(p: Tensor, winner: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients in both ends, (B, E, 2) each, of those of the field."""
    _, n, e = p.shape
    h, w = grad.shape[1:]
    if e == 1:
        own = p[..., None]
    else:
        base = torch.arange(n, device=p.device)[:, None, None] * e
        own = p.reshape(5, -1).index_select(
            1, (winner + base).flatten()).view(5, n, h, w)
    ax, ay, vx, vy, inverse = own.unbind()
    dx, dy = _axis(w, p) - ax, _axis(h, p)[:, None] - ay
    raw = dx * (vx * inverse) + dy * (vy * inverse)
    t = raw.clamp(0, 1)
    grad = -2 * grad
    gx = torch.addcmul(dx, t, vx, value=-1).mul_(grad)
    gy = torch.addcmul(dy, t, vy, value=-1).mul_(grad)
    values = [gx, gy, t * gx, t * gy]
    # Where the length was floored the residual is not orthogonal to the
    # segment, and the projection's own slope counts.
    short = p[4] >= 1 / FLOOR
    floored = p.device.type != 'cpu' or bool(short.any())
    if floored:
        slope = (gx * vx + gy * vy) * inverse * (raw == t)
        values += [slope, slope * dx, slope * dy]
    s = _sums(values, winner, e)
    on_a, on_b = s[:2] - s[2:4], s[2:4].clone()
    if floored:
        along = torch.where(short, s[5:7], 0.)
        on_a -= along + torch.where(short, s[4] * p[2:4], 0.)
        on_b += along
    return on_a.permute(1, 2, 0), on_b.permute(1, 2, 0)


class _NearestSegment(Function):
    """(B, H, W) squared distances of (B, E, 2) segments."""

    @staticmethod
    def forward(ctx: object, a: Tensor, b: Tensor, h: int,
                w: int) -> Tensor:
        p = _parameters(a, b)
        if a.device.type == 'cpu' and a.shape[1] > 1:
            field, winner = _tiled(p, (h, w))
        else:
            field, winner = _dense(
                p, (h, w),
                CHUNK if a.device.type == 'cpu' else CHUNK_DEVICE)
        ctx.save_for_backward(p, winner)  # type: ignore[attr-defined]
        return field

    @staticmethod
    @once_differentiable
    def backward(ctx: object, grad: Tensor) -> tuple:
        p, winner = ctx.saved_tensors  # type: ignore[attr-defined]
        most = CHUNK if p.device.type == 'cpu' else CHUNK_DEVICE
        step = max(1, most // grad[0].numel())
        parts = [_slopes(p[:, i:i + step], winner[i:i + step],
                         grad[i:i + step])
                 for i in range(0, len(grad), step)]
        on_a, on_b = (torch.cat([part[i] for part in parts])
                      for i in range(2))
        return on_a.to(p.dtype), on_b.to(p.dtype), None, None


def nearest_segment_field(a: Tensor, b: Tensor,
                          size: tuple[int, int]) -> Tensor:
    """Squared distance of every pixel to the nearest segment.

    The projection on a segment is divided by its squared length, at least
    1e-6, as in KeypointGAN's code: segments without length are points.

    Args:
        a (Tensor): (B, E, 2) starts (x, y), float32 or float64, pixel
            centres at linspace(-1, 1, size).
        b (Tensor): (B, E, 2) ends.
        size (tuple[int, int]): (h, w) in pixels, at least 2.

    Returns:
        Tensor: (B, h, w). Once differentiable in ``a`` and ``b``; where
        several segments are nearest, one of them gets the gradient.

    Raises:
        ValueError: Shapes do not fit, there is no segment, or a side is
            shorter than 2.
    """
    if a.shape != b.shape or a.ndim != 3 or a.shape[-1] != 2 \
            or not a.shape[1]:
        raise ValueError('segments are two tensors (B, E, 2) with E at least '
                         f'1, got {tuple(a.shape)} and {tuple(b.shape)}')
    if min(size) < 2:
        raise ValueError(f'an image is at least 2 x 2 pixels, got {size}')
    return _NearestSegment.apply(a, b, *size)
