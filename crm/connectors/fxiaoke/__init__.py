"""纷享销客 (Fxiaoke, ShareCRM), over its open API."""

from crm.connectors.fxiaoke.auth import FxiaokeKeys
from crm.connectors.fxiaoke.connector import Fxiaoke, FxiaokeLimits

__all__ = ["Fxiaoke", "FxiaokeKeys", "FxiaokeLimits"]
