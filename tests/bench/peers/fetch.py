# SPDX-License-Identifier: Apache-2.0
"""Brings peers and their clients into the cache, by package name with the ordinary clients of Debian's packages, Maven Central
and the Go module proxy. Nothing is installed, nothing is written into the tree. What is there already is not fetched again."""
import glob
import hashlib
import os
import shutil
import tempfile

from peer import Missing
from programs import Failure, run

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 900


def need(program):
    found = shutil.which(program)
    if not found:
        raise Missing("there is no %s in PATH" % program)
    return found


def made(cache, name, inputs, make):
    """The folder of `cache` that make(folder) filled, anew where one of the files `inputs` has changed since; whole or not there."""
    digest = hashlib.sha256()
    for path in inputs:
        with open(path, "rb") as file:
            digest.update(file.read())
    folder = os.path.join(cache, "%s-%s" % (name, digest.hexdigest()[:16]))
    if os.path.isdir(folder):
        return folder
    os.makedirs(cache, exist_ok=True)
    growing = tempfile.mkdtemp(prefix=name + "-", dir=cache)
    try:
        make(growing)
        os.rename(growing, folder)
    except Failure as failure:
        raise Missing(str(failure)) from None
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return folder


def sources(*patterns):
    """Files below this folder, in a stated order."""
    return [path for pattern in patterns for path in sorted(glob.glob(os.path.join(HERE, pattern)))]


def java(cache, name, pom, patterns):
    """The class path of the Java sources `patterns`, compiled with what `pom` asks Maven Central for."""
    need("mvn")
    need("javac")
    files = sources(*patterns)

    def make(folder):
        libraries = os.path.join(folder, "lib")
        run(["mvn", "-q", "-B", "-f", os.path.join(HERE, pom), "dependency:copy-dependencies", "-DincludeScope=runtime",
             "-DoutputDirectory=" + libraries], SECONDS, cwd=folder)
        run(["javac", "-nowarn", "-d", os.path.join(folder, "classes"), "-cp", os.path.join(libraries, "*"), *files], SECONDS)

    folder = made(cache, name, [os.path.join(HERE, pom), *files], make)
    return os.pathsep.join([os.path.join(folder, "classes"), os.path.join(folder, "lib", "*")])


def version_of_jar(class_path, artifact):
    """"4.3.1" for "kafka-clients"."""
    for place in class_path.split(os.pathsep):
        for path in sorted(glob.glob(place + ".jar") if place.endswith("*") else []):
            name = os.path.basename(path)
            if name.startswith(artifact + "-") and name[len(artifact) + 1].isdigit():
                return name[len(artifact) + 1:-4]
    raise Missing("%s is nowhere in %s" % (artifact, class_path))


def go_program(cache, name, folder):
    """The program of a Go module in `folder` of this tree."""
    need("go")
    files = sources(folder + "/*.go", folder + "/go.mod")

    def make(growing):
        for file in files:
            shutil.copy(file, growing)
        run(["go", "mod", "tidy"], SECONDS, cwd=growing)
        run(["go", "build", "-o", name, "."], SECONDS, cwd=growing)

    return os.path.join(made(cache, name, files, make), name)


def go_install(cache, package, version):
    """The program that `go install` makes of a package."""
    need("go")
    name = package.split("/")[-2 if package.split("/")[-1].startswith("v") else -1]

    def make(growing):
        run(["go", "install", "%s@%s" % (package, version)], SECONDS, env={**os.environ, "GOBIN": growing})

    return os.path.join(made(cache, "%s-%s" % (name, version), [], make), name)


def debian(cache, package, *more):
    """A folder that holds what these packages and all that they need and this machine lacks would install."""
    need("apt-get")
    need("dpkg-deb")

    def make(growing):
        archives = os.path.join(growing, "archives")
        os.makedirs(os.path.join(archives, "partial"))
        run(["apt-get", "install", "--download-only", "-y", "-q", "--no-install-recommends", "--reinstall", "-o", "Debug::NoLocking=1",
             "-o", "Dir::Cache::archives=" + archives, package, *more], SECONDS)
        for archive in sorted(glob.glob(os.path.join(archives, "*.deb"))):
            run(["dpkg-deb", "-x", archive, growing], SECONDS)
        shutil.rmtree(archives)

    return made(cache, package, [], make)


def library_path(root):
    """What LD_LIBRARY_PATH must name for a program out of debian()."""
    return os.pathsep.join(sorted({os.path.dirname(path) for path in glob.glob(os.path.join(root, "usr/lib/**/*.so*"), recursive=True)}))
