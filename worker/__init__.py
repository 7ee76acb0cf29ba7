"""Everything with the model. What packages tell of kernels for other machines, once imported, is no news to people."""

import logging

for name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(name).setLevel(logging.ERROR)
