"""Works that a protocol's method rests on, as people quote them and as BibTeX."""

from dataclasses import dataclass

__all__ = ["WORKS", "Work"]


@dataclass(frozen=True)
class Work:
    """A published work.

    Args:
        kind: BibTeX's kind of entry.
        authors: as BibTeX has them, joined by "and"; family name first.
        title: of the work.
        where: journal, or the book of a conference.
        year: of publication.
        pages: volume and pages as people write them; "" for none.
        link: DOI, or address of what has none.
    """

    kind: str
    authors: str
    title: str
    where: str
    year: int
    pages: str = ""
    link: str = ""

    @property
    def plain(self) -> str:
        """The work in one line."""
        names = [n.strip().replace(", ", " ") for n in self.authors.split(" and ")]
        named = ", ".join(n for n in names if n != "others")
        named += " et al." if "others" in names else ""
        pages = f" {self.pages}" if self.pages else ""
        place = f" {self.address}" if self.link else ""
        return f"{named.rstrip('.')}. {self.title}. {self.where.rstrip('.')}{pages} ({self.year}).{place}"

    @property
    def address(self) -> str:
        """DOI or address, as people write it."""
        return self.link if self.link.startswith("http") else f"doi:{self.link}"

    def bibtex(self, key: str) -> str:
        """Return the entry under a key."""
        place = {"article": "journal", "inproceedings": "booktitle"}.get(self.kind, "howpublished")
        fields = {"author": self.authors, "title": f"{{{self.title}}}", place: self.where,
                  "year": str(self.year)}  # fmt: skip
        volume, _, pages = self.pages.partition(":")
        if pages:
            fields |= {"volume": volume, "pages": pages.strip().replace("–", "--")}
        elif volume:
            fields["pages"] = volume.replace("–", "--")
        if self.link:
            fields["url" if self.link.startswith("http") else "doi"] = self.link
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@{self.kind}{{{key},\n{lines}\n}}"


WORKS = {
    "kohonen2013": Work(
        "article", "Kohonen, Teuvo", "Essentials of the self-organizing map", "Neural Networks",
        2013, "37:52–65", "10.1016/j.neunet.2012.09.018",
    ),
    "vettigli2018": Work(
        "misc", "Vettigli, Giuseppe", "MiniSom: minimalistic and NumPy-based implementation of the "
        "self-organizing map", "GitHub", 2018, "", "https://github.com/JustGlowing/minisom",
    ),
    "buades2005": Work(
        "inproceedings", "Buades, Antoni and Coll, Bartomeu and Morel, Jean-Michel",
        "A non-local algorithm for image denoising", "IEEE Computer Society Conference on Computer "
        "Vision and Pattern Recognition", 2005, "2:60–65", "10.1109/CVPR.2005.38",
    ),
    "ronneberger2015": Work(
        "inproceedings", "Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas",
        "U-Net: convolutional networks for biomedical image segmentation",
        "Medical Image Computing and Computer-Assisted Intervention", 2015, "9351:234–241",
        "10.1007/978-3-319-24574-4_28",
    ),
    "cicek2016": Work(
        "inproceedings", "Çiçek, Özgün and Abdulkadir, Ahmed and Lienkamp, Soeren S. and Brox, Thomas and "
        "Ronneberger, Olaf", "3D U-Net: learning dense volumetric segmentation from sparse annotation",
        "Medical Image Computing and Computer-Assisted Intervention", 2016, "9901:424–432",
        "10.1007/978-3-319-46723-8_49",
    ),
    "guo2017": Work(
        "inproceedings", "Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.",
        "On calibration of modern neural networks", "International Conference on Machine Learning",
        2017, "70:1321–1330", "https://proceedings.mlr.press/v70/guo17a.html",
    ),
    "alcantarilla2012": Work(
        "inproceedings", "Alcantarilla, Pablo F. and Bartoli, Adrien and Davison, Andrew J.",
        "KAZE features", "European Conference on Computer Vision", 2012, "7577:214–227",
        "10.1007/978-3-642-33783-3_16",
    ),
    "alcantarilla2013": Work(
        "inproceedings", "Alcantarilla, Pablo F. and Nuevo, Jesús and Bartoli, Adrien",
        "Fast explicit diffusion for accelerated features in nonlinear scale spaces",
        "British Machine Vision Conference", 2013, "", "10.5244/C.27.13",
    ),
    "lowe2004": Work(
        "article", "Lowe, David G.", "Distinctive image features from scale-invariant keypoints",
        "International Journal of Computer Vision", 2004, "60:91–110",
        "10.1023/B:VISI.0000029664.99615.94",
    ),
    "rublee2011": Work(
        "inproceedings", "Rublee, Ethan and Rabaud, Vincent and Konolige, Kurt and Bradski, Gary",
        "ORB: an efficient alternative to SIFT or SURF", "International Conference on Computer Vision",
        2011, "2564–2571", "10.1109/ICCV.2011.6126544",
    ),
    "fischler1981": Work(
        "article", "Fischler, Martin A. and Bolles, Robert C.", "Random sample consensus: a paradigm for "
        "model fitting with applications to image analysis and automated cartography",
        "Communications of the ACM", 1981, "24:381–395", "10.1145/358669.358692",
    ),
    "barath2020": Work(
        "inproceedings", "Barath, Daniel and Noskova, Jana and Ivashechkin, Maksym and Matas, Jiri",
        "MAGSAC++, a fast, reliable and accurate robust estimator", "IEEE/CVF Conference on Computer "
        "Vision and Pattern Recognition", 2020, "1304–1312", "10.1109/CVPR42600.2020.00138",
    ),
    "baker2004": Work(
        "article", "Baker, Simon and Matthews, Iain", "Lucas-Kanade 20 years on: a unifying framework",
        "International Journal of Computer Vision", 2004, "56:221–255",
        "10.1023/B:VISI.0000011205.11775.fd",
    ),
    "mattes2003": Work(
        "article", "Mattes, David and Haynor, David R. and Vesselle, Hubert and Lewellen, Thomas K. and "
        "Eubank, William", "PET-CT image registration in the chest using free-form deformations",
        "IEEE Transactions on Medical Imaging", 2003, "22:120–128", "10.1109/TMI.2003.809072",
    ),
    "eisenhauer2009": Work(
        "article", "Eisenhauer, E. A. and Therasse, P. and Bogaerts, J. and others", "New response "
        "evaluation criteria in solid tumours: revised RECIST guideline (version 1.1)",
        "European Journal of Cancer", 2009, "45:228–247", "10.1016/j.ejca.2008.10.026",
    ),
    "wahl2009": Work(
        "article", "Wahl, Richard L. and Jacene, Heather and Kasamon, Yvette and Lodge, Martin A.",
        "From RECIST to PERCIST: evolving considerations for PET response criteria in solid tumors",
        "Journal of Nuclear Medicine", 2009, "50:122S–150S", "10.2967/jnumed.108.057307",
    ),
    "moritz2018": Work(
        "inproceedings", "Moritz, Philipp and Nishihara, Robert and Wang, Stephanie and others",
        "Ray: a distributed framework for emerging AI applications",
        "USENIX Symposium on Operating Systems Design and Implementation", 2018, "561–577",
        "https://www.usenix.org/conference/osdi18/presentation/moritz",
    ),
    "paszke2019": Work(
        "inproceedings", "Paszke, Adam and Gross, Sam and Massa, Francisco and others", "PyTorch: an "
        "imperative style, high-performance deep learning library",
        "Advances in Neural Information Processing Systems", 2019, "32:8024–8035",
        "https://papers.nips.cc/paper/9015",
    ),
    "moore2023": Work(
        "article", "Moore, Josh and Basurto-Lozada, Daniela and Besson, Sébastien and others",
        "OME-Zarr: a cloud-optimized bioimaging file format with international community support",
        "Histochemistry and Cell Biology", 2023, "160:223–251", "10.1007/s00418-023-02209-1",
    ),
    "harris2020": Work(
        "article", "Harris, Charles R. and Millman, K. Jarrod and van der Walt, Stéfan J. and others",
        "Array programming with NumPy", "Nature", 2020, "585:357–362", "10.1038/s41586-020-2649-2",
    ),
    "lam2015": Work(
        "inproceedings", "Lam, Siu Kwan and Pitrou, Antoine and Seibert, Stanley",
        "Numba: a LLVM-based Python JIT compiler",
        "Workshop on the LLVM Compiler Infrastructure in HPC", 2015, "1–6", "10.1145/2833157.2833162",
    ),
    "bradski2000": Work(
        "article", "Bradski, Gary", "The OpenCV library", "Dr. Dobb's Journal of Software Tools",
        2000, "25:120–125", "",
    ),
}  # fmt: skip
"""Key to work."""
