# /etc/dovecot/sieve/junk.sieve - asks rulesd, then files what it tagged. Needs sieve_extprograms with
# sieve_filter_bin_dir holding a script `postern` : exec spamc -U /run/postern/spamd.sock -u "$1"
require ["vnd.dovecot.filter", "fileinto", "mailbox", "envelope", "variables"];
if envelope :matches "to" "*" { set "to" "${1}"; }
filter "postern" ["${to}"];
if header :contains "X-Spam-Flag" "YES" { fileinto :create "Junk"; stop; }
