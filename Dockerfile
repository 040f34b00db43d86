# The workflow and its commands, with the locked environment.
#
#     docker build -t dicom-preprocessing .
#     docker run --rm --user "$(id -u):$(id -g)" -v /data:/data dicom-preprocessing \
#         --cores all --config source=/data/studies output=/data/results
#
# docs/cluster.md tells how Apptainer uses it.
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/dicom-preprocessing

# Dependencies alone at first: this layer stays as long as they do.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src/dicom_preprocessing/__init__.py src/dicom_preprocessing/version.py src/dicom_preprocessing/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt --editable ".[workflow,slurm]"

COPY Snakefile ./
COPY config config
COPY envs envs
COPY examples examples
COPY profiles profiles
COPY scripts scripts
COPY src src
COPY workflow workflow
# What runs as another user cannot write its bytecode here.
RUN /opt/venv/bin/python -m compileall -q src scripts

# Any user may run it, also one without an entry in /etc/passwd, whose name Snakemake asks for.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    USER=dicom \
    PYTHONDONTWRITEBYTECODE=1

# Snakemake's records and logs are written here, so mount a folder to keep them: an incremental run needs them.
WORKDIR /data
USER 1000:1000

ENTRYPOINT ["snakemake", "--snakefile", "/opt/dicom-preprocessing/Snakefile"]
CMD ["--help"]
