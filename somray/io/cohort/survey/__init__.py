"""What a folder of scans holds, for `somray init`: found, told apart, named, put in order, grouped in protocols.

Everything here is a guess for a person to look at, with one rule above all: two patients never share a subject.
Who somebody is stands in folders' names; headers only tell people apart, through hashes that are never kept.
"""
