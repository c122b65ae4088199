"""Where the modules of version 0.1.0 are now, for imports and for stored models of that time.

A joblib file names the module of each class in it. `import` finds the module of the old name here,
and gives the one of the new name, so that both are the same.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

__all__ = ["MOVED_MODULES", "MOVED_NAMES", "install"]

_PACKAGE = __name__.rpartition(".")[0]

#: Module of version 0.1.0 -> the module of today.
MOVED_MODULES = {
    "_samples": "training._samples",
    "_prediction": "estimators._prediction",
    "_results": "estimators._fitting",
    "classifier": "estimators._classifier",
    "pruner": "estimators._pruner",
    "search": "estimators._search",
    "_search_folds": "estimators._search_folds",
    "sensitivity": "estimators._sensitivity",
    "_adapters": "estimators._adapter",
    "_skorch_adapter": "estimators._skorch_adapter",
    "surgery": "networks._surgery",
    "compensation": "pruning._compensation",
    "networks._network": "networks._dense",
    "networks._convert": "estimators._convert",
    "networks._convert_net": "estimators._convert_net",
    "networks._dense_model": "pruning._dense_model",
    "networks._skorch_model": "pruning._skorch_model",
    "networks._engine": "training._engine",
    "networks._engine_task": "training._task",
    "networks._engine_stopping": "training._stopping",
    "networks._engine_compiled": "training._cpu",
    "networks._engine_trainee": "training._trainee",
    "networks._engine_kernels": "training._epochs",
    "networks._engine_device": "training._device",
    "networks._optimizer": "training._optimizer",
    "networks._skorch": "training._skorch_net",
    "networks._skorch_training": "training._skorch_loop",
    "deploy._atomic": "formats._atomic",
    "deploy._scene_header": "formats._envi_header",
    "datasets._envi": "formats._envi_library",
    "_spectra_table": "formats._csv_table",
    "deploy._c": "export._c",
    "deploy._compiled": "export._compiled",
    "deploy._description": "export._description",
    "deploy._files": "export._files",
    "deploy._onnx": "export._onnx",
    "deploy._pipeline": "export._pipeline",
    "deploy._steps": "export._steps",
    "deploy._scene": "scenes._predict",
    "deploy._scene_arrays": "scenes._arrays",
    "deploy._scene_bands": "scenes._bands",
    "deploy._scene_check": "scenes._check",
    "deploy._scene_envi": "scenes._envi",
    "deploy._scene_formats": "scenes._writers",
    "deploy._scene_output": "scenes._output",
    "deploy._scene_pixels": "scenes._pixels",
    "deploy._scene_raster": "scenes._raster",
    "deploy._scene_run": "scenes._run",
    "deploy._scene_scratch": "scenes._scratch",
    "deploy._scene_source": "scenes._source",
    "deploy._scene_sources": "scenes._open",
    "deploy._scene_work": "scenes._work",
    "_demo": "cli._demo",
}

#: Package -> public name that it had in version 0.1.0 -> the package that has it today.
MOVED_NAMES = {
    f"{_PACKAGE}.networks": {
        "DenseModel": f"{_PACKAGE}.pruning._dense_model",
        "MLPNet": f"{_PACKAGE}.training",
        "OptimizerState": f"{_PACKAGE}.training",
        "SkorchModel": f"{_PACKAGE}.pruning._skorch_model",
        "TrainingResult": f"{_PACKAGE}.training",
        "TrainingSettings": f"{_PACKAGE}.training",
        "TrainingTask": f"{_PACKAGE}.training",
        "initial_network": f"{_PACKAGE}.training",
        "net_from_training": f"{_PACKAGE}.training",
        "train": f"{_PACKAGE}.training",
    },
}


class _MovedModules(MetaPathFinder, Loader):
    """Import a module by its old name."""

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        if package == _PACKAGE and name in MOVED_MODULES:
            return ModuleSpec(fullname, self)
        return None

    def create_module(self, spec):
        module = import_module(f"{_PACKAGE}.{MOVED_MODULES[spec.name.partition('.')[2]]}")
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module):
        # It has run under its own name, which importing it by another is not to change.
        module.__spec__ = self.own_spec


def install() -> None:
    """Let old names be imported; once is enough."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
