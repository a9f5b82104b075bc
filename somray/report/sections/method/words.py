"""The methods ready to paste, what they cite, and the configuration they came from."""

import yaml

from somray.report.data import ProtocolData
from somray.report.data.courses import registration_health
from somray.report.drawing.blocks import Code, Details, Section, Text
from somray.report.texts.methods import MethodFacts, bibliography, bibtex, methods_text

__all__ = ["configuration_section", "words_section"]

TOLD = (
    "Written from what this run did: settings, models, counts and versions are the run's own. Copy it, and "
    "check it as you would a colleague's draft."
)


def words_section(protocol: ProtocolData) -> Section:
    """Write a protocol's methods for a paper."""
    facts = MethodFacts(
        config=protocol.config,
        scans=protocol.rows("scans"),
        teacher=protocol.teacher,
        student=protocol.model_info("student"),
        convergence=protocol.rows("convergence"),
        pairs=registration_health(protocol).counts,
        has_truth=not protocol.frame("truth").empty,
        info=protocol.cohort.run.info,
    )
    blocks = (
        Text(TOLD),
        Code(methods_text(facts), True),
        Text("Works cited:"),
        Code(bibliography(facts), True),
        Details("The same as BibTeX", (Code(bibtex(facts)),)),
    )
    return Section("methods", "Methods, ready to paste", blocks)


def configuration_section(protocol: ProtocolData) -> Section:
    """Show the protocol's part of the configuration, every default written out."""
    data = {"protocols": {protocol.protocol: protocol.config.model_dump(mode="json")}}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    told = "Every default written out; a file with this protocol gives the same results."
    if protocol.cohort.foreign:
        told = "What images and registration were made with, every default written out; `lesions` holds here too."
        data["protocols"][protocol.protocol].pop("segment")
    return Section("configuration", "Configuration", (Text(told), Code(text)))
