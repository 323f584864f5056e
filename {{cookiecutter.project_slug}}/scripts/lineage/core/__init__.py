"""What every other room stands on: errors, paths, params, version numbers, the console.

    errors           the two ways in which a command ends badly: `BadInput` and `Refused`
    paths            where things lie in the project
    params           `params.yaml`, read as DVC reads it and checked as a whole
    param_names      names and plain values of params, as rows hold them
    version_numbers  `eX.Y.Z`: read, ordered, counted up
    yaml_as_text     `dvc.yaml`, `dvc.lock` and `.dvc` files, read fast for paths and hashes
    experiment_file  `experiment.py`, imported and checked
    code_hash        which code a run imports, and hashes of all of it and of what evaluates
    console          how a command starts, says things, shows progress and ends
    extra_commands   commands that extras bring, found when they are asked for
    template_version which template, and which commit of it, the project is of
    check_result     how one step of a set-up or an examination ended

A new key of `params.yaml` is added in `params`, a new file of the pipeline in `paths`. Scripts may
rely on the exit codes: 0 done, 1 refused or failed, 2 bad input, 130 interrupted.
"""
