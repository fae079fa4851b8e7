"""Search for a schedule on given data, by accuracy minus cost."""

from keras_mlp3d.models import extract
from keras_mlp3d.search.compare import ComparedNetwork, compare
from keras_mlp3d.search.correlation import Correlation, correlation, spearman
from keras_mlp3d.search.greedy import greedy
from keras_mlp3d.search.networks import Network, paper_networks, short_name
from keras_mlp3d.search.on_ray import RayTrainer, on_ray
from keras_mlp3d.search.refinement import Refinement, refinement_recipe
from keras_mlp3d.search.result import CandidateScore, SearchResult
from keras_mlp3d.search.run import RESULT, find_schedule, load_supernet, train_supernet
from keras_mlp3d.search.schedule_cost import ScheduleCost
from keras_mlp3d.search.scorer import Scorer
from keras_mlp3d.search.space import SearchSpace
from keras_mlp3d.search.supernet import supernet
from keras_mlp3d.search.trace import Trace
from keras_mlp3d.search.trainer import Trainer

__all__ = [
    "RESULT",
    "CandidateScore",
    "ComparedNetwork",
    "Correlation",
    "Network",
    "RayTrainer",
    "Refinement",
    "ScheduleCost",
    "Scorer",
    "SearchResult",
    "SearchSpace",
    "Trace",
    "Trainer",
    "compare",
    "correlation",
    "extract",
    "find_schedule",
    "greedy",
    "load_supernet",
    "on_ray",
    "paper_networks",
    "refinement_recipe",
    "short_name",
    "spearman",
    "supernet",
    "train_supernet",
]
