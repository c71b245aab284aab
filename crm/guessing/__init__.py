"""A mapping proposed for files of an unknown export, with how sure each line is and why."""

from crm.guessing.proposal import Proposal, Proposed, Sure, propose
from crm.guessing.writing import as_yaml

__all__ = ["Proposal", "Proposed", "Sure", "as_yaml", "propose"]
