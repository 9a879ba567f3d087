# Read by llama.cpp's build where ci/with-llama-tools runs it: its "common", for programs of its own, is not compiled, since nothing of it is used. The crate
# llama-cpp-sys-2 compiles it by default, and the dependency on that crate cannot be told not to.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
