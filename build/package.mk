# Packages. Include from the repository root. The objects in them are linked for an
# old C library by Zig, which also links for arm64; Zig comes from PyPI as a wheel.

ZIG_VERSION   := 0.17.1
# Later releases had a dependency that could not be fetched when this was pinned.
NFPM          := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
# RHEL and Alma 8; Ubuntu 20.04 and Debian 11 have newer ones.
PACKAGE_GLIBC := 2.28
MAINTAINER    ?= fluent-bit-fortiems maintainers <fluent-bit-fortiems@localhost>

PACKAGE_OUT     := $(OUT)/package
PACKAGE_VERSION  = $(shell build/version.sh)
# apk knows neither ~ nor +: 1.2.3~rc.1+4.gabcdef0 becomes 1.2.3_rc1_p4.
APK_VERSION      = $(shell echo '$(PACKAGE_VERSION)' | sed -E 's/~([a-z]+)[.]?([0-9]*)/_\1\2/; s/[+]([0-9]+).*/_p\1/; s/[+].*//')
ZIG_VENV        := $(CURDIR)/$(OUT)/zig-$(ZIG_VERSION)
ZIG_CACHE       := ZIG_GLOBAL_CACHE_DIR=$(CURDIR)/$(OUT)/zig-cache ZIG_LOCAL_CACHE_DIR=$(CURDIR)/$(OUT)/zig-cache
PACKAGE_DOCS    := $(wildcard *.md */README.md */*/README.md plugin/cmd/fortiems/README.md plugin/cmd/fortiems/*.png plugin/cmd/fortiems/*.svg .github/CONTRIBUTING.md .github/SECURITY.md parser/rules.yaml parser/rules/*.yaml)
PACKAGE_ARCHES  := amd64 arm64
PACKAGE_OBJECTS := $(PACKAGE_ARCHES:%=$(PACKAGE_OUT)/%/flb-filter_fortiems.so)
PACKAGE_COMMANDS := $(PACKAGE_ARCHES:%=$(PACKAGE_OUT)/%/fortiems)
zig_amd64       := x86_64-linux-gnu.$(PACKAGE_GLIBC)
zig_arm64       := aarch64-linux-gnu.$(PACKAGE_GLIBC)

.PHONY: package package-tools apk-version

##@ Package

# The folders of conf/ that nobody edits where they are installed.
PACKAGE_SHARE := dashboards detections elasticsearch opensearch topologies

package: $(PACKAGE_OBJECTS) $(PACKAGE_COMMANDS) $(PACKAGE_OUT)/THIRD_PARTY_LICENSES ## deb, rpm and apk for amd64 and arm64 in build/out (python3 with venv; downloads Zig)
	@rm -rf $(PACKAGE_OUT)/conf $(PACKAGE_OUT)/share $(PACKAGE_OUT)/doc $(PACKAGE_OUT)/completion $(OUT)/*.deb $(OUT)/*.rpm $(OUT)/*.apk
	@mkdir -p $(PACKAGE_OUT)/conf $(PACKAGE_OUT)/share $(PACKAGE_OUT)/doc $(PACKAGE_OUT)/completion
	@cp --parents $(PACKAGE_DOCS) $(PACKAGE_OUT)/doc
	@cp conf/*.yaml conf/*.conf build/plugins.conf $(PACKAGE_OUT)/conf
	@cp -r $(PACKAGE_SHARE:%=conf/%) conf/service/port-514.conf $(PACKAGE_OUT)/share
	@find $(PACKAGE_OUT)/share -name '*.go' -o -name '*.md' | xargs rm -f
	@# An installed configuration names its files by their whole path: a reload looks for relative ones in the working directory only.
	@sed -i 's|parsers_fortiems.conf|/etc/fluent-bit/fortiems/&|; s|^\[SERVICE\]|&\n    Plugins_File    /etc/fluent-bit/fortiems/plugins.conf|' $(PACKAGE_OUT)/conf/fluent-bit*.conf
	@sed -i 's|^service:|&\n  plugins_file: /etc/fluent-bit/fortiems/plugins.conf|' $(PACKAGE_OUT)/conf/f*.yaml
	@sed -i 's|^# Start: .*-c conf/|# Start: fluent-bit -c /etc/fluent-bit/fortiems/|' $(PACKAGE_OUT)/conf/f*.yaml $(PACKAGE_OUT)/conf/f*.conf
	@go run ./plugin/cmd/fortiems completion bash >$(PACKAGE_OUT)/completion/fortiems
	@go run ./plugin/cmd/fortiems completion zsh >$(PACKAGE_OUT)/completion/_fortiems
	@go run ./plugin/cmd/fortiems completion fish >$(PACKAGE_OUT)/completion/fortiems.fish
	@chmod -R u=rwX,go=rX $(PACKAGE_OUT)
	@set -e; for arch in $(PACKAGE_ARCHES); do for kind in deb rpm apk; do \
	  config=build/nfpm.yaml version=$(PACKAGE_VERSION); \
	  [ $$kind != apk ] || config=build/nfpm-apk.yaml version=$(APK_VERSION); \
	  ARCH=$$arch PACKAGE_VERSION=$$version PACKAGE_GLIBC=$(PACKAGE_GLIBC) MAINTAINER='$(MAINTAINER)' \
	  SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) \
	  go run $(NFPM) package -f $$config -p $$kind -t $(OUT); done; done

apk-version: # for the tests
	@echo $(APK_VERSION)

package-tools: $(ZIG_VENV)/.installed # the tools that packages need, downloaded
	go run $(NFPM) --version >/dev/null

$(ZIG_VENV)/.installed:
	@mkdir -p $(@D)
	python3 -m venv $(ZIG_VENV)
	$(ZIG_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: ziglang==$(ZIG_VERSION)
	touch $@

# The same object as $(OBJECT), linked against another C library.
$(PACKAGE_OUT)/%/flb-filter_fortiems.so: $(GO_FILES) go.mod go.sum build/package.mk $(ZIG_VENV)/.installed $(PACKAGE_OUT)/version
	@mkdir -p $(@D)
	$(call step,Compiling the plugin: $@,$(ZIG_CACHE) CC="$(ZIG_VENV)/bin/python -m ziglang cc -target $(zig_$*)" GOOS=linux GOARCH=$* $(BUILD_OBJECT))

$(PACKAGE_OUT)/%/fortiems: $(FORTIEMS_FILES) go.mod go.sum build/package.mk $(PACKAGE_OUT)/version
	@mkdir -p $(@D)
	$(call step,Compiling the command fortiems: $@,GOOS=linux GOARCH=$* $(BUILD_FORTIEMS))

# Changes only with the version, so that no package has the previous one.
$(PACKAGE_OUT)/version: .FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
.PHONY: .FORCE

$(PACKAGE_OUT)/THIRD_PARTY_LICENSES: go.mod go.sum build/notices/main.go plugin/cmd/fortiems/report/page/echarts.LICENSE
	@mkdir -p $(@D)
	go run ./build/notices >$@.new
	mv $@.new $@

# What a release consists of. SBOMs are made of the modules that Go has written into each file.
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
RELEASE       := $(OUT)/release
SBOM          = go run $(CYCLONEDX) bin -json -noserial -version "$(PACKAGE_VERSION)" -output $(RELEASE)/$(1).cdx.json $(2)

.PHONY: release-notes release-files release-check

# First, because it fails at once where CHANGELOG.md lacks the version.
release-notes:
	@build/notes.sh '$(VERSION)' >/dev/null

release-files: release-notes package fortiems ## packages, fortiems for every system, SBOMs, notes and checksums in build/out/release
	rm -rf $(RELEASE)
	mkdir -p $(RELEASE)
	build/notes.sh '$(VERSION)' >$(RELEASE)/notes.md
	cp $(OUT)/*.deb $(OUT)/*.rpm $(OUT)/*.apk $(PACKAGE_OUT)/THIRD_PARTY_LICENSES $(RELEASE)/
	@set -e; for system in $(FORTIEMS_SYSTEMS); do \
	  tar --create --gzip --owner=0 --group=0 --numeric-owner --sort=name --mtime=@$$(git log -1 --format=%ct 2>/dev/null || echo 0) \
	    --exclude=.built -f $(RELEASE)/fortiems-$(PACKAGE_VERSION)-$$system.tar.gz -C $(OUT)/fortiems-$$system .; done
	@set -e; for arch in $(PACKAGE_ARCHES); do \
	  $(call SBOM,flb-filter_fortiems-$$arch,$(PACKAGE_OUT)/$$arch/flb-filter_fortiems.so); \
	  $(call SBOM,fortiems-$$arch,$(PACKAGE_OUT)/$$arch/fortiems); done
	cd $(RELEASE) && sha256sum $$(ls | grep -v notes.md) >SHA256SUMS

release-check: lint release-files ## all that a release needs, without publishing it
	FORTIEMS_RELEASE='$(VERSION)' go test -count 1 -timeout 30m ./test/package ./test/docs
	@if docker version >/dev/null 2>&1; then set -ex; \
	  docker build -q -f build/Dockerfile --build-arg VERSION='$(VERSION)' -t fluent-bit-fortiems:release-check .; \
	  test "$$(docker run --rm --entrypoint /usr/bin/fortiems fluent-bit-fortiems:release-check version)" = 'fortiems $(VERSION)'; \
	else echo 'not run: the image (no Docker engine runs here; make test-engine starts one and builds it)'; fi
	@echo "version $(VERSION), packages $(PACKAGE_VERSION): $$(ls $(RELEASE) | wc -l) files in $(RELEASE)"
	@case '$(VERSION)' in v[0-9]*-[0-9]*-g*|*-dirty|dev) echo 'not a release: no tag on this commit, or changes in the tree' ;; v[0-9]*) ;; *) echo 'not a release: no tag on this commit' ;; esac
