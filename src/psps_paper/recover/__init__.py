"""Inference from printed numbers: the inverse problem under rounding."""

from psps_paper.recover.contrasts import Recovery, recover_contrasts
from psps_paper.recover.i2 import df_from_i2_interval, i2_interval, q_interval
from psps_paper.recover.printed import rounding_interval

__all__ = ["Recovery", "df_from_i2_interval", "i2_interval", "q_interval", "recover_contrasts", "rounding_interval"]
