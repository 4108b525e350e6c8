"""What a run tells whoever follows it, as it happens."""

from stsyn_mpi.protocol.commands import RecordChange, RecordRound, ReportAbsence
from stsyn_mpi.training.evaluator import EvaluationResult

News = RecordRound | RecordChange | ReportAbsence | EvaluationResult
