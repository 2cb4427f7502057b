# See LICENSE file for copyright and licence details.
# maild for the side-by-side bench of mail servers (its README tells what an adapter is): built with
# the ports of the run, everything else as it ships. It runs as the owner of the mailbox that the
# harness fills.
PEER_ROLE="smtp pop3" PEER_STORE=mbox PEER_TLS="starttls pop3s"
PEER_MAILBOX=store/mail/%u PEER_INDEX=store/spool/index/%u
here=$(dirname "$BENCH_ADAPTER")
tree=$(cd "$here/../.." && pwd)
peer_version() { git -C "$tree" describe --always --dirty 2>/dev/null || echo maild; }
peer_files() { ls "$tree/maild"; }
peer_setup() {
	SMTP_PORT=$BENCH_SMTP_PORT POP3_PORT=$BENCH_POP3_PORT POP3S_PORT=$BENCH_POP3S_PORT \
	RUN_ID=20000 TLS_SESSIONS=1100 "$here/mkconfig" "$tree/config.h" >"$BENCH_DIR/config.h"
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
	make -s -C "$tree" OUT="$BENCH_DIR/out" CONFIG="$BENCH_DIR/config.h" \
		${CC:+CC="$CC"} ${BEARSSL:+BEARSSL="$BEARSSL"} BIN="$BENCH_DIR/maild" "$BENCH_DIR/maild"
	s=$BENCH_DIR/store
	all_users | while read -r n; do
		echo "$BENCH_PASS" | "$BENCH_DIR/maild" -d "$s" passwd "$n"
	done
	mkdir -p "$s/mail" "$s/tls"
	cp "$BENCH_CERT" "$s/tls/cert.pem"; cp "$BENCH_KEY" "$s/tls/key.pem"
	all_users | while read -r n; do
		: >"$s/mail/$n"
		chmod 666 "$s/mail/$n"	# the harness fills them as other users
	done
	chown -R 20000:20000 "$s"
}
peer_start() { "$BENCH_DIR/maild" -d "$BENCH_DIR/store" >"$BENCH_DIR/log/maild.log" 2>&1 & }
