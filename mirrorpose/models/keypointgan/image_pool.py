"""A history of generated images: what the discriminator is shown."""
from __future__ import annotations

import numpy as np
import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keeps the last images that were made, and mixes old ones in.

    Until it is full, images pass and are kept. After that, each image is
    given back with chance 1/2; otherwise a random old one is, whose place it
    takes (Shrivastava et al. 2017; KeypointGAN keeps 50). Several processes
    keep one history of all their images, as one process would of the joint
    batch. It is part of the checkpoint.

    Args:
        shape (tuple[int, int, int]): Of an image, (C, h, w).
        size (int): Images kept; with 0, images pass. Defaults to 50.

    Raises:
        ValueError: The size is negative.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, shape: tuple[int, int, int], size: int = 50) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f'size must not be negative, got {size}')
        self.size = size
        self.register_buffer('images', torch.zeros(size, *shape))
        # Not an integer: buffers are averaged over processes.
        self.register_buffer('filled', torch.zeros(()))

    def query(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Images to be judged in place of those just made.

        Args:
            images (Tensor): (N, C, h, w); as many in every process.
            rng (np.random.Generator): In the same state in every process.

        Returns:
            Tensor: (N, C, h, w), without gradient.
        """
        images = images.detach()
        if not self.size:
            return images
        own = len(images)
        if get_world_size() > 1:
            images = torch.cat(all_gather(images.contiguous()))
        chosen, kept, filled = self._plan(len(images), rng)
        both = torch.cat([self.images, images.to(self.images)])
        self.images.copy_(both[torch.tensor(kept, device=both.device)])
        self.filled.fill_(filled)
        start = get_rank() * own
        rows = torch.tensor(chosen[start:start + own], device=both.device)
        return both[rows].to(images)

    def _plan(self, number: int, rng: np.random.Generator
              ) -> tuple[list[int], list[int], int]:
        """Which image is given, and which is in each place afterwards.

        Images are meant by number: old ones first, then the new ones.
        """
        kept, chosen = list(range(self.size)), []
        filled = int(self.filled)
        swaps = rng.random(number) > .5
        places = rng.integers(self.size, size=number)
        for new in range(self.size, self.size + number):
            i = new - self.size
            if filled < self.size:
                kept[filled] = new
                filled += 1
                chosen.append(new)
            elif swaps[i]:
                chosen.append(kept[places[i]])
                kept[places[i]] = new
            else:
                chosen.append(new)
        return chosen, kept, filled
