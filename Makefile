# maild: make, make run, make test. The program's settings are in config.h, the build's here.
.POSIX:

CC = musl-gcc
PREFIX = /usr/local
# A BearSSL built elsewhere: make BEARSSL=DIR, with DIR/inc and DIR/build/libbearssl.a
BEARSSL =
# Variants side by side: make CONFIG=other.h OUT=build/other BIN=build/other/maild
CONFIG = config.h
OUT = build
BIN = maild
# What the tests read that was made by others
VECTORS = ../shared/vectors
# Parts of make crash, all if empty: kill errors commands recovery relay strangers full cut power
CRASH =
# Seconds for each target of make fuzz
SECONDS = 60
# musl has these on board; CC=cc LDFLAGS= makes an ordinary dynamic program
LDFLAGS = -static -Wl,-z,relro,-z,now
CFLAGS = -std=c11 -pedantic -Wall -Wextra -Wshadow -Wwrite-strings -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Os -g -fPIE -fstack-protector-strong

OBJ = $(OUT)/mail.o $(OUT)/smtp.o $(OUT)/envelope.o $(OUT)/pop3.o $(OUT)/guard.o \
	$(OUT)/login.o $(OUT)/limit.o $(OUT)/grey.o $(OUT)/rules.o $(OUT)/scan.o \
	$(OUT)/inspect.o $(OUT)/amend.o $(OUT)/user.o $(OUT)/box.o $(OUT)/drop.o $(OUT)/letter.o $(OUT)/store.o \
	$(OUT)/queue.o $(OUT)/recover.o $(OUT)/out.o $(OUT)/relay.o $(OUT)/outcome.o \
	$(OUT)/route.o $(OUT)/client.o $(OUT)/send.o $(OUT)/bounce.o $(OUT)/forward.o \
	$(OUT)/control.o $(OUT)/tls.o $(OUT)/cert.o $(OUT)/trust.o $(OUT)/sign.o $(OUT)/admin.o \
	$(OUT)/view.o $(OUT)/sendmail.o $(OUT)/addr.o $(OUT)/alist.o $(OUT)/authres.o \
	$(OUT)/canon.o $(OUT)/compat.o $(OUT)/dkim.o $(OUT)/dkimcheck.o $(OUT)/dmarc.o \
	$(OUT)/dns.o $(OUT)/dnsmsg.o $(OUT)/dot.o $(OUT)/from.o $(OUT)/fs.o $(OUT)/glob.o $(OUT)/header.o \
	$(OUT)/idn.o $(OUT)/ip.o $(OUT)/journal.o $(OUT)/log.o $(OUT)/loop.o $(OUT)/mbox.o \
	$(OUT)/milter.o $(OUT)/mime.o $(OUT)/pem.o $(OUT)/reply.o $(OUT)/sandbox.o $(OUT)/sasl.o \
	$(OUT)/scram.o $(OUT)/spf.o $(OUT)/spfterm.o $(OUT)/spki.o $(OUT)/srs.o \
	$(OUT)/table.o $(OUT)/text.o $(OUT)/words.o $(OUT)/x509.o
SRC = mail.c smtp.c envelope.c pop3.c guard.c login.c limit.c grey.c rules.c scan.c inspect.c amend.c \
	user.c box.c drop.c letter.c store.c queue.c recover.c out.c relay.c outcome.c route.c \
	client.c send.c bounce.c forward.c control.c tls.c cert.c trust.c sign.c admin.c view.c \
	sendmail.c lib/addr.c lib/alist.c lib/authres.c lib/canon.c lib/compat.c lib/dkim.c \
	lib/dkimcheck.c lib/dmarc.c lib/dns.c lib/dnsmsg.c lib/dot.c lib/from.c lib/fs.c lib/glob.c \
	lib/header.c lib/idn.c lib/ip.c lib/journal.c lib/log.c lib/loop.c lib/mbox.c \
	lib/milter.c lib/mime.c lib/pem.c lib/reply.c lib/sandbox.c lib/sasl.c lib/scram.c \
	lib/spf.c lib/spfterm.c lib/spki.c lib/srs.c lib/table.c lib/text.c lib/words.c lib/x509.c
HDR = mail.h check.h inspect.h client.h control.h relay.h smtp.h store.h tls.h $(CONFIG) lib/addr.h \
	lib/alist.h lib/authres.h lib/canon.h lib/dkim.h lib/dkimcheck.h lib/dmarc.h lib/dns.h \
	lib/dnsmsg.h lib/dot.h lib/from.h lib/fs.h lib/glob.h lib/header.h lib/idn.h lib/ip.h lib/journal.h \
	lib/log.h lib/loop.h lib/mbox.h lib/milter.h lib/mime.h lib/pem.h lib/reply.h \
	lib/sandbox.h lib/sasl.h lib/scram.h lib/spf.h lib/spfterm.h lib/spki.h lib/srs.h \
	lib/table.h lib/text.h lib/vec.h lib/words.h lib/x509.h

# BearSSL's headers: BEARSSL's, else the distribution's. The kernel's come last of all.
INCLUDE = -isystem $(BEARSSL)/inc -isystem /usr/include/bearssl \
	-idirafter /usr/include -idirafter /usr/include/$$($(CC) -dumpmachine)
COMPILE = @echo "cc $@"; $(CC) $(CFLAGS) -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 \
	-DCONFIG='"$(CONFIG)"' -ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables \
	$(INCLUDE) -c -o $@
# The distribution's archive in full: musl-gcc has a library path of its own.
LIBRARY = $$(if [ "$(BEARSSL)" ]; then echo "$(BEARSSL)/build/libbearssl.a"; \
	else cc -print-file-name=libbearssl.a; fi)

all: $(BIN)

# Debian's musl-gcc knows no -static-pie (addresses that nobody can foretell): its parts by name.
# Libraries have tables for unwinding the stack, a tenth of them, and nobody does: left out.
$(BIN): $(OBJ)
	@echo "ld $@"; d=/usr/lib/$$($(CC) -dumpmachine | sed s/gnu/musl/); pie= end=; \
	case "$(CC) $(LDFLAGS)" in "musl-gcc -static "*) if [ -f $$d/rcrt1.o ]; then \
		pie="-nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text $$d/rcrt1.o $$d/crti.o"; \
		end=$$d/crtn.o; fi ;; esac; \
	case "$(LDFLAGS)" in -static*) pie="$$pie -Wl,-T,$(OUT)/link.ld" ;; esac; \
	echo 'SECTIONS { /DISCARD/ : { *(.eh_frame) } } INSERT BEFORE .eh_frame;' >$(OUT)/link.ld; \
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--gc-sections $$pie -o $@ $(OBJ) $(LIBRARY) $$end

$(OBJ): $(HDR) $(OUT)/.made Makefile
$(OUT)/.made:
	@mkdir -p $(OUT)
	@: >$@

$(OUT)/mail.o: mail.c; $(COMPILE) mail.c
$(OUT)/smtp.o: smtp.c; $(COMPILE) smtp.c
$(OUT)/envelope.o: envelope.c; $(COMPILE) envelope.c
$(OUT)/pop3.o: pop3.c; $(COMPILE) pop3.c
$(OUT)/guard.o: guard.c; $(COMPILE) guard.c
$(OUT)/login.o: login.c; $(COMPILE) login.c
$(OUT)/limit.o: limit.c; $(COMPILE) limit.c
$(OUT)/grey.o: grey.c; $(COMPILE) grey.c
$(OUT)/rules.o: rules.c; $(COMPILE) rules.c
$(OUT)/scan.o: scan.c; $(COMPILE) scan.c
$(OUT)/inspect.o: inspect.c; $(COMPILE) inspect.c
$(OUT)/amend.o: amend.c; $(COMPILE) amend.c
$(OUT)/letter.o: letter.c; $(COMPILE) letter.c
$(OUT)/user.o: user.c; $(COMPILE) user.c
$(OUT)/box.o: box.c; $(COMPILE) box.c
$(OUT)/drop.o: drop.c; $(COMPILE) drop.c
$(OUT)/store.o: store.c; $(COMPILE) store.c
$(OUT)/queue.o: queue.c; $(COMPILE) queue.c
$(OUT)/recover.o: recover.c; $(COMPILE) recover.c
$(OUT)/out.o: out.c; $(COMPILE) out.c
$(OUT)/relay.o: relay.c; $(COMPILE) relay.c
$(OUT)/outcome.o: outcome.c; $(COMPILE) outcome.c
$(OUT)/route.o: route.c; $(COMPILE) route.c
$(OUT)/client.o: client.c; $(COMPILE) client.c
$(OUT)/send.o: send.c; $(COMPILE) send.c
$(OUT)/bounce.o: bounce.c; $(COMPILE) bounce.c
$(OUT)/forward.o: forward.c; $(COMPILE) forward.c
$(OUT)/control.o: control.c; $(COMPILE) control.c
$(OUT)/view.o: view.c; $(COMPILE) view.c
$(OUT)/sign.o: sign.c; $(COMPILE) sign.c
$(OUT)/sendmail.o: sendmail.c; $(COMPILE) sendmail.c
$(OUT)/tls.o: tls.c; $(COMPILE) tls.c
$(OUT)/cert.o: cert.c; $(COMPILE) cert.c
$(OUT)/trust.o: trust.c; $(COMPILE) trust.c
$(OUT)/admin.o: admin.c; $(COMPILE) admin.c
$(OUT)/addr.o: lib/addr.c; $(COMPILE) lib/addr.c
$(OUT)/alist.o: lib/alist.c; $(COMPILE) lib/alist.c
$(OUT)/compat.o: lib/compat.c; $(COMPILE) lib/compat.c
$(OUT)/dkim.o: lib/dkim.c; $(COMPILE) lib/dkim.c
$(OUT)/dns.o: lib/dns.c; $(COMPILE) lib/dns.c
$(OUT)/dnsmsg.o: lib/dnsmsg.c; $(COMPILE) lib/dnsmsg.c
$(OUT)/reply.o: lib/reply.c; $(COMPILE) lib/reply.c
$(OUT)/spki.o: lib/spki.c; $(COMPILE) lib/spki.c
$(OUT)/srs.o: lib/srs.c; $(COMPILE) lib/srs.c
$(OUT)/dot.o: lib/dot.c; $(COMPILE) lib/dot.c
$(OUT)/fs.o: lib/fs.c; $(COMPILE) lib/fs.c
$(OUT)/glob.o: lib/glob.c; $(COMPILE) lib/glob.c
$(OUT)/header.o: lib/header.c; $(COMPILE) lib/header.c
$(OUT)/authres.o: lib/authres.c; $(COMPILE) lib/authres.c
$(OUT)/canon.o: lib/canon.c; $(COMPILE) lib/canon.c
$(OUT)/dkimcheck.o: lib/dkimcheck.c; $(COMPILE) lib/dkimcheck.c
$(OUT)/dmarc.o: lib/dmarc.c; $(COMPILE) lib/dmarc.c
$(OUT)/from.o: lib/from.c; $(COMPILE) lib/from.c
$(OUT)/milter.o: lib/milter.c; $(COMPILE) lib/milter.c
$(OUT)/mime.o: lib/mime.c; $(COMPILE) lib/mime.c
$(OUT)/sandbox.o: lib/sandbox.c; $(COMPILE) lib/sandbox.c
$(OUT)/spf.o: lib/spf.c; $(COMPILE) lib/spf.c
$(OUT)/spfterm.o: lib/spfterm.c; $(COMPILE) lib/spfterm.c
$(OUT)/table.o: lib/table.c; $(COMPILE) lib/table.c
$(OUT)/idn.o: lib/idn.c; $(COMPILE) lib/idn.c
$(OUT)/ip.o: lib/ip.c; $(COMPILE) lib/ip.c
$(OUT)/journal.o: lib/journal.c; $(COMPILE) lib/journal.c
$(OUT)/log.o: lib/log.c; $(COMPILE) lib/log.c
$(OUT)/loop.o: lib/loop.c; $(COMPILE) lib/loop.c
$(OUT)/mbox.o: lib/mbox.c; $(COMPILE) lib/mbox.c
$(OUT)/pem.o: lib/pem.c; $(COMPILE) lib/pem.c
$(OUT)/sasl.o: lib/sasl.c; $(COMPILE) lib/sasl.c
$(OUT)/scram.o: lib/scram.c; $(COMPILE) lib/scram.c
$(OUT)/text.o: lib/text.c; $(COMPILE) lib/text.c
$(OUT)/words.o: lib/words.c; $(COMPILE) lib/words.c
$(OUT)/x509.o: lib/x509.c; $(COMPILE) lib/x509.c

# Try it: a server on this machine alone, and what to type to send and read a first mail.
run:
	CC="$(CC)" BEARSSL="$(BEARSSL)" sh test/tryout

test:
	CC="$(CC)" BEARSSL="$(BEARSSL)" VECTORS="$(VECTORS)" sh test/run

interop:
	CC="$(CC)" BEARSSL="$(BEARSSL)" VECTORS="$(VECTORS)" sh test/interop/run

# In network namespaces of its own; as root, on Debian: mail to Postfix, Exim and others, and back.
relay:
	CC="$(CC)" BEARSSL="$(BEARSSL)" VECTORS="$(VECTORS)" sh test/relay/run

crash:
	CC="$(CC)" BEARSSL="$(BEARSSL)" sh test/crash/run $(CRASH)

bench:
	CC="$(CC)" BEARSSL="$(BEARSSL)" sh test/bench/run

# For other processors: Debian's cross compilers, its packages of musl and BearSSL, and qemu.
cross:
	sh test/cross

fuzz:
	BEARSSL="$(BEARSSL)" VECTORS="$(VECTORS)" sh test/fuzz/run $(SECONDS)

# All memory is in data and bss (nothing is allocated), so their sum is the bound; the stack is not
# in it, nor are pages of mapped files (the index of an open mailbox), which the kernel may drop.
size: $(BIN)
	@size $(BIN)
	@strip -o $(OUT)/stripped $(BIN) && wc -c <$(OUT)/stripped | sed 's/$$/ bytes stripped/'
	@size $(BIN) | awk 'NR == 2 { print $$2 + $$3 " bytes of memory at most, of which:" }'
	@nm -S -l --size-sort -r -t d $(BIN) | awk '$$3 ~ /[bBdD]/ && n++ < 12 { \
		sub(".*/", "", $$5); sub(":.*", "", $$5); print "\t" $$2 + 0, $$4, $$5 }'

install: $(BIN)
	mkdir -p $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/man/man8
	cp -f $(BIN) $(DESTDIR)$(PREFIX)/sbin/maild
	strip $(DESTDIR)$(PREFIX)/sbin/maild
	chmod 755 $(DESTDIR)$(PREFIX)/sbin/maild
	for n in sendmail mailq newaliases; do ln -sf maild $(DESTDIR)$(PREFIX)/sbin/$$n; done
	cp -f maild.8 $(DESTDIR)$(PREFIX)/share/man/man8/maild.8
	chmod 644 $(DESTDIR)$(PREFIX)/share/man/man8/maild.8

# The links only if they are ours: another mail server may have been installed since.
uninstall:
	cd $(DESTDIR)$(PREFIX)/sbin && for n in sendmail mailq newaliases; do \
		[ "$$(readlink $$n)" != maild ] || rm -f $$n; done
	rm -f $(DESTDIR)$(PREFIX)/sbin/maild $(DESTDIR)$(PREFIX)/share/man/man8/maild.8

lint:
	sh test/need cppcheck clang-tidy
	cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=toomanyconfigs --error-exitcode=1 $(SRC)
	clang-tidy --quiet $(SRC) -- -std=c11 -D_POSIX_C_SOURCE=200809L \
		-D_FILE_OFFSET_BITS=64 \
		-isystem $(BEARSSL)/inc -isystem /usr/include/bearssl

clean:
	rm -rf $(OUT) $(BIN)

dist:
	git archive --format=tar --prefix=maild/ HEAD | gzip -9 >maild.tar.gz

.PHONY: all run test interop relay crash bench cross fuzz size install uninstall lint clean dist
