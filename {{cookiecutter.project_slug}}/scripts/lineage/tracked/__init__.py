"""What Git and DVC have recorded, and the one door for writing what accumulates.

    guarded_output  lock, check of the base, recoverable bytes: how an accumulated output is written
    whole_file      files and folders that appear whole or not at all: the one atomic writer
    recorded        the hashes that `dvc.lock` and `.dvc` files name, now or at a commit
    code_at_commit  the hash of the code of a commit, and the commit with the code of a hash
    hashes          hashes of files and folders, as DVC computes them
    cache           DVC's local cache: where an object is, whether it is whole, copied in and out
    remote          the bytes behind a hash, from the cache or the remote, verified
    ignored         which files an ignore rule keeps from Git or DVC, which must track them
    git             the one place that runs Git
    version_tags    the tags of versions, here and on Git's remote, and which version is closed
    dvc             DVC, run as a command that waits for its turn

The promise of this room: nothing is overwritten unless its exact bytes can be brought back, or all
its rows live on in what replaces it. Whatever is changed here must keep it; tests/tracked holds it.
"""
