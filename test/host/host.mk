# The stand-in host. Include from the repository root, or run there: make -f test/host/host.mk
#
#   $(HOST_OUT)/fortiems-host       the host, one file that can be copied anywhere
#   $(HOST_OUT)/fortiems-host-asan  the same with address and undefined-behaviour checks
#
# Where the host loads a Go object, run the second with ASAN_OPTIONS=detect_leaks=0.

HOST_DIR := test/host
HOST_OUT ?= build/out
HOST_SRC := $(addprefix $(HOST_DIR)/src/,main.c log.c buffer.c plugin.c output.c pipeline.c chunk.c input.c syslog.c json.c)
HOST_HDR := $(HOST_DIR)/src/host.h $(HOST_DIR)/src/abi.h
HOST_ABI := $(HOST_OUT)/.fortiems-host-abi.so
HOST_FLAGS := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -g -fvisibility=hidden
HOST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

.PHONY: host host-asan
host: $(HOST_OUT)/fortiems-host
host-asan: $(HOST_OUT)/fortiems-host-asan

# Carried inside the host, see abi_since_5_0_3.c.
$(HOST_ABI): $(HOST_DIR)/src/abi_since_5_0_3.c $(HOST_HDR) $(HOST_DIR)/host.mk
	@mkdir -p $(@D)
	@$(CC) $(HOST_FLAGS) -O2 -fPIC -shared -o $@ $<

$(HOST_OUT)/fortiems-host: $(HOST_SRC) $(HOST_HDR) $(HOST_ABI) $(HOST_DIR)/host.mk
	@echo 'Compiling the stand-in host: $@' >&2
	@$(CC) $(HOST_FLAGS) -O2 -DABI_OBJECT='"$(abspath $(HOST_ABI))"' -rdynamic -o $@ $(HOST_SRC) -ldl -lpthread

$(HOST_OUT)/fortiems-host-asan: $(HOST_SRC) $(HOST_HDR) $(HOST_ABI) $(HOST_DIR)/host.mk
	@echo 'Compiling the stand-in host: $@' >&2
	@$(CC) $(HOST_FLAGS) -O1 $(HOST_SANITIZE) -DABI_OBJECT='"$(abspath $(HOST_ABI))"' -rdynamic -o $@ $(HOST_SRC) -ldl -lpthread
