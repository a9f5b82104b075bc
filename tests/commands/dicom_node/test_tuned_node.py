"""A node that answers by what `finetune` trained: the mask of `apply`, judged by the teacher's drift check."""

import io
import shutil

import numpy as np
import pydicom

from somray.commands.dicom_node.journal import Journal
from somray.io.models import write_segmenter
from somray.io.storage import Storage
from tests.commands.dicom_node.servers import copied, places_of_apply, places_of_segmentation
from tests.commands.dicom_node.test_restarts import MemoryArchive, MemoryNode
from tests.stages.answers.tuned import noisy_segmenter


def test_the_answer_is_the_mask_of_apply(fitted, tmp_path):
    run = shutil.copytree(fitted / "run", tmp_path / "run")
    write_segmenter(Storage.at(run), "ct", noisy_segmenter())
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "tuned")
    archive = MemoryArchive()
    archive.put("ct", "study", "CT", scan)
    options = {"protocols": ("ct",), "method": "finetuned"}
    with Journal(tmp_path / "state", "memory").opened() as journal:
        assert MemoryNode(run, archive, journal, **options).settled().states == ["sent"]
    (sent,) = archive.sent
    seg = pydicom.dcmread(io.BytesIO(sent))
    wanted = places_of_apply(run, tmp_path / "out", "ct", scan, method="finetuned")
    assert len(wanted) > 100
    assert np.array_equal(places_of_segmentation(seg), wanted)
