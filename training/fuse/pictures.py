"""Which pictures a batch shows, and their cells. A batch is made without them, in any process; whoever trains
gathers them, on any device.
"""
from dataclasses import dataclass

import numpy as np
import torch

# The share of batches' pictures that are whole photos where there are crops of them: what is asked of the model later is whole.
WHOLE = 0.3


@dataclass
class Look:
    """`photos[b]` in its view `views[b]`: 0 as it is, 1 mirrored, from 2 on crops, those with odd numbers mirrored. `mixed`: (row,
    class, how far each of its cells goes towards the class [C,1]); `covered` [B,C]: cells that are not shown, or `None`."""

    photos: list
    views: list
    mixed: list
    covered: np.ndarray | None = None


class Pictures:
    """Features of photos. Who inherits this has `device`, `spots` (cells of a picture), `prototypes` [classes,1280],
    `looks(photo)`, the number of its views, and `cells(photos, views)` [B,C,1280] f32."""

    def view(self, photo, mirrored, draw):
        """One of a photo's views, mirrored if wanted and possible."""
        looks = self.looks(photo)
        if looks <= 2 or draw.random() < WHOLE:
            return int(mirrored and looks > 1)
        return draw.randrange(2 + mirrored, looks, 2)

    def has_mirrored(self, photo):
        return self.looks(photo) > 1

    def shown(self, look):
        """The cells of a batch: those of a swapped noun are mixed toward the new class's row of the classifier."""
        cells = self.cells(look.photos, look.views)
        if look.mixed:
            rows, classes, shares = zip(*look.mixed)
            rows, classes = (torch.tensor(x, device=self.device) for x in (rows, classes))
            shares = torch.from_numpy(np.stack(shares)).to(self.device)
            cells[rows] = cells[rows].lerp(self.prototypes[classes][:, None].expand(-1, cells.shape[1], -1), shares)
        if look.covered is not None:
            cells.masked_fill_(torch.from_numpy(look.covered).to(self.device)[..., None], 0)
        return cells
