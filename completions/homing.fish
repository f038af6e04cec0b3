# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_homing_global_optspecs
    string join \n config= state= json q/quiet v/verbose h/help V/version
end

function __fish_homing_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_homing_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_homing_using_subcommand
    set -l cmd (__fish_homing_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c homing -n "__fish_homing_needs_command" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_needs_command" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_needs_command" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_needs_command" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_needs_command" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_needs_command" -s V -l version -d 'Print version'
complete -c homing -n "__fish_homing_needs_command" -f -a "sync" -d 'Reconcile Maildirs and servers once, both ways'
complete -c homing -n "__fish_homing_needs_command" -f -a "backup" -d 'Copy accounts into their archives; nothing that the server drops is lost'
complete -c homing -n "__fish_homing_needs_command" -f -a "verify" -d 'Check archives: every message against its digest, the books against the disk'
complete -c homing -n "__fish_homing_needs_command" -f -a "restore" -d 'Bring an account back from its archive as it was at any past backup'
complete -c homing -n "__fish_homing_needs_command" -f -a "prune" -d 'Delete messages from an archive that left the server long ago'
complete -c homing -n "__fish_homing_needs_command" -f -a "export" -d 'Write an account\'s mail into mbox or .eml files, for other programs'
complete -c homing -n "__fish_homing_needs_command" -f -a "import" -d 'Bring mail from files into an account: from mbox, .eml or a Maildir'
complete -c homing -n "__fish_homing_needs_command" -f -a "migrate" -d 'Copy an account\'s mail to another server, as often as you like, with a verdict at the end'
complete -c homing -n "__fish_homing_needs_command" -f -a "status" -d 'Show the last run, what waits, what is held back and what could not be done'
complete -c homing -n "__fish_homing_needs_command" -f -a "log" -d 'Show what past runs did to which message, and why'
complete -c homing -n "__fish_homing_needs_command" -f -a "mailboxes" -d 'List the server\'s mailboxes and what becomes of each'
complete -c homing -n "__fish_homing_needs_command" -f -a "forget" -d 'Drop what homing knows of an account; no mail is touched'
complete -c homing -n "__fish_homing_using_subcommand sync" -l mailbox -d 'Act on these mailboxes only; can be given several times' -r
complete -c homing -n "__fish_homing_using_subcommand sync" -l wait -d 'Wait so long for another run on the same account to end, instead of leaving at once with 75' -r
complete -c homing -n "__fish_homing_using_subcommand sync" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand sync" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand sync" -l dry-run -d 'Only say what would be done, and why'
complete -c homing -n "__fish_homing_using_subcommand sync" -l pull -d 'Carry changes from the server to the Maildir only'
complete -c homing -n "__fish_homing_using_subcommand sync" -l push -d 'Carry changes from the Maildir to the server only'
complete -c homing -n "__fish_homing_using_subcommand sync" -l allow-deletes -d 'Approve the removals that a guard held back or would hold back'
complete -c homing -n "__fish_homing_using_subcommand sync" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand sync" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand sync" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand backup" -l wait -d 'Wait so long for another run on the same archive to end, instead of leaving at once with 75' -r
complete -c homing -n "__fish_homing_using_subcommand backup" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand backup" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand backup" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand backup" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand backup" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand verify" -l manifest -d 'Write a list of all whole files there, with their SHA-256, as `sha256sum -c` reads it' -r -F
complete -c homing -n "__fish_homing_using_subcommand verify" -l wait -d 'Wait so long for another run on the same archive to end, instead of leaving at once with 75' -r
complete -c homing -n "__fish_homing_using_subcommand verify" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand verify" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand verify" -l server -d 'Compare the archive with the server too'
complete -c homing -n "__fish_homing_using_subcommand verify" -l repair -d 'Fetch damaged and missing messages again that the server still has'
complete -c homing -n "__fish_homing_using_subcommand verify" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand verify" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand verify" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand restore" -l to -d 'Where the messages go: an account, which can be the same one, or a directory' -r
complete -c homing -n "__fish_homing_using_subcommand restore" -l at -d 'From the archive, as the account was then' -r
complete -c homing -n "__fish_homing_using_subcommand restore" -l mailbox -d 'Only these mailboxes; can be given several times' -r
complete -c homing -n "__fish_homing_using_subcommand restore" -l message -d 'Only messages with this Message-ID, or whose file has this name' -r
complete -c homing -n "__fish_homing_using_subcommand restore" -l wait -d 'Wait so long for another run on the same archive to end, instead of leaving at once with 75' -r
complete -c homing -n "__fish_homing_using_subcommand restore" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand restore" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand restore" -l dry-run -d 'Only say what would be done, and why'
complete -c homing -n "__fish_homing_using_subcommand restore" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand restore" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand restore" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand prune" -l gone-longer-than -d 'Delete what left the server longer ago than this, such as 90d, 6m (months) or 1y' -r
complete -c homing -n "__fish_homing_using_subcommand prune" -l wait -d 'Wait so long for another run on the same archive to end, instead of leaving at once with 75' -r
complete -c homing -n "__fish_homing_using_subcommand prune" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand prune" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand prune" -l dry-run -d 'Only say which messages would go, and why'
complete -c homing -n "__fish_homing_using_subcommand prune" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand prune" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand prune" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand export" -l to -d 'The directory into which the files go; it is made if it is not there' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand export" -l format -d 'What files: an mbox for each mailbox, or a directory for each mailbox with an .eml for each message' -r -f -a "mbox\t'An mbox for each mailbox'
eml\t'A directory for each mailbox, a file for each message'"
complete -c homing -n "__fish_homing_using_subcommand export" -l at -d 'From the archive, as the account was then' -r
complete -c homing -n "__fish_homing_using_subcommand export" -l mailbox -d 'Only these mailboxes; can be given several times' -r
complete -c homing -n "__fish_homing_using_subcommand export" -l message -d 'Only messages with this Message-ID, or whose file has this name' -r
complete -c homing -n "__fish_homing_using_subcommand export" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand export" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand export" -l dry-run -d 'Only say what would be written'
complete -c homing -n "__fish_homing_using_subcommand export" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand export" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand export" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand import" -l to -d 'Where the mail goes: an account, or a directory' -r
complete -c homing -n "__fish_homing_using_subcommand import" -l mailbox -d 'The mailbox into which it goes' -r
complete -c homing -n "__fish_homing_using_subcommand import" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand import" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand import" -l dry-run -d 'Only say what would be done, and why'
complete -c homing -n "__fish_homing_using_subcommand import" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand import" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand import" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand migrate" -l list -d 'Migrate the pairs of accounts in this file (.csv or .toml), side by side' -r -F
complete -c homing -n "__fish_homing_using_subcommand migrate" -l shard -d 'Of the list, take the rows whose number, counted from 0, is K modulo N: for N machines' -r
complete -c homing -n "__fish_homing_using_subcommand migrate" -l jobs -d 'Of the list, work on so many pairs at a time' -r
complete -c homing -n "__fish_homing_using_subcommand migrate" -l host-connections -d 'Of the list, have so many connections to one host at most, for all pairs together' -r
complete -c homing -n "__fish_homing_using_subcommand migrate" -l report -d 'Write the verdict to a file too: a page for a browser (.html), .json or .csv, by its ending' -r -F
complete -c homing -n "__fish_homing_using_subcommand migrate" -l wait -d 'Wait so long for another run on the same accounts to end, instead of leaving at once with 75' -r
complete -c homing -n "__fish_homing_using_subcommand migrate" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand migrate" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand migrate" -l dry-run -d 'Only say what would be done, and why'
complete -c homing -n "__fish_homing_using_subcommand migrate" -l delete-extra -d 'Remove from TO what came from FROM and was removed there since'
complete -c homing -n "__fish_homing_using_subcommand migrate" -l allow-deletes -d 'Approve the removals that a guard held back or would hold back'
complete -c homing -n "__fish_homing_using_subcommand migrate" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand migrate" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand migrate" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand status" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand status" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand status" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand status" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand status" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand log" -l run -d 'Show this run only; of syncs and of backups, both that have the number' -r
complete -c homing -n "__fish_homing_using_subcommand log" -s n -l last -d 'Show so many runs that did something' -r
complete -c homing -n "__fish_homing_using_subcommand log" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand log" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand log" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand log" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand log" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand mailboxes" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand mailboxes" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand mailboxes" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand mailboxes" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand mailboxes" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand mailboxes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c homing -n "__fish_homing_using_subcommand forget" -l config -d 'The configuration file' -r -F
complete -c homing -n "__fish_homing_using_subcommand forget" -l state -d 'Where homing keeps what it knows of each account' -r -f -a "(__fish_complete_directories)"
complete -c homing -n "__fish_homing_using_subcommand forget" -l json -d 'Write one JSON object to standard output, whatever happens'
complete -c homing -n "__fish_homing_using_subcommand forget" -s q -l quiet -d 'Say nothing but what went wrong'
complete -c homing -n "__fish_homing_using_subcommand forget" -s v -l verbose -d 'Say what is done and why'
complete -c homing -n "__fish_homing_using_subcommand forget" -s h -l help -d 'Print help (see more with \'--help\')'
