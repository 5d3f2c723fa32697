//! Kernels and containers that lack what the jail is made of, or forbid it: the command is started by this very test
//! program, which puts on a filter that answers as they would, and then becomes the command.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use serde::{Deserialize, Serialize};

/// What is missing, or forbidden, around the command.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Lack {
    /// As before Linux 5.13.
    Landlock,
    /// As before Linux 6.3.
    Mdwe,
    /// As in a kernel that was built without it.
    Seccomp,
    /// As in containers whose filter does not know it.
    Clone3,
    /// The capabilities and calls that Docker takes from a container, unless it is told otherwise.
    Docker,
    /// As in a container from which all capabilities were taken.
    Capabilities,
    /// `/proc` shows each user his own processes only.
    OtherProcesses,
    /// `/proc` has the numbers of another space of processes.
    OwnNumbers,
    /// As before Linux 5.1.
    PidfdSignals,
    /// As in containers whose filter forbids it.
    Memfd,
    /// The same.
    Prlimit,
}

/// What this program is told when it is started again.
#[derive(Deserialize, Serialize)]
struct Plan {
    lacks: Vec<Lack>,
    command: Vec<String>,
}

/// Names the variable of the plan.
const PLAN: &str = "WASMPOOL_SURROUNDING";

/// The capabilities of root in one of Docker's containers.
const DOCKER_CAPABILITIES: &str = "--bounding-set=-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,\
    +setuid,+setfcap,+setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write";

/// Calls that Docker's documentation names as blocked by its default profile.
const DOCKER_BLOCKS: [i64; 42] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

impl Lack {
    /// What has to be started before the command, and starts it.
    fn wrapper(self) -> &'static [&'static str] {
        match self {
            Self::Landlock
            | Self::Mdwe
            | Self::Seccomp
            | Self::Clone3
            | Self::PidfdSignals
            | Self::Memfd
            | Self::Prlimit => &[],
            Self::Docker => &["setpriv", DOCKER_CAPABILITIES],
            Self::Capabilities => &["setpriv", "--bounding-set=-all"],
            Self::OtherProcesses => {
                const HIDE: &str = "mount -t proc -o hidepid=2 proc /proc && exec \"$0\" \"$@\"";
                &["unshare", "--mount", "sh", "-c", HIDE]
            }
            Self::OwnNumbers => &["unshare", "--pid", "--fork", "--kill-child"],
        }
    }

    /// Calls, by the error that they fail with.
    fn answers(self) -> Vec<(i32, BTreeMap<i64, Vec<SeccompRule>>)> {
        let any = |number| (number, Vec::new());
        match self {
            Self::Landlock => vec![(libc::ENOSYS, [any(libc::SYS_landlock_create_ruleset)].into())],
            Self::Mdwe => {
                let which = u64::from(libc::PR_SET_MDWE.unsigned_abs());
                vec![(libc::EINVAL, [(libc::SYS_prctl, vec![first_is(SeccompCmpOp::Eq, which)])].into())]
            }
            Self::Seccomp => vec![(libc::ENOSYS, [any(libc::SYS_seccomp)].into())],
            Self::Clone3 => vec![(libc::ENOSYS, [any(libc::SYS_clone3)].into())],
            Self::Docker => vec![
                // What libraries take for a kernel that is too old for it.
                (libc::ENOSYS, [any(libc::SYS_clone3)].into()),
                (libc::EPERM, DOCKER_BLOCKS.into_iter().map(any).chain([new_spaces()]).collect()),
            ],
            Self::PidfdSignals => vec![(libc::ENOSYS, [any(libc::SYS_pidfd_send_signal)].into())],
            Self::Memfd => vec![(libc::EPERM, [any(libc::SYS_memfd_create)].into())],
            // To change a limit, not to read one.
            Self::Prlimit => vec![(libc::EPERM, [(libc::SYS_prlimit64, vec![has_new_limit()])].into())],
            Self::Capabilities | Self::OtherProcesses | Self::OwnNumbers => Vec::new(),
        }
    }
}

/// Processes that would be in spaces of their own.
fn new_spaces() -> (i64, Vec<SeccompRule>) {
    let spaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWCGROUP,
    ];
    let rule = |space: i32| {
        let bit = u64::from(space.unsigned_abs());
        first_is(SeccompCmpOp::MaskedEq(bit), bit)
    };
    (libc::SYS_clone, spaces.map(rule).to_vec())
}

fn has_new_limit() -> SeccompRule {
    let new = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0).unwrap();
    SeccompRule::new(vec![new]).unwrap()
}

fn first_is(operator: SeccompCmpOp, value: u64) -> SeccompRule {
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value).unwrap();
    SeccompRule::new(vec![condition]).unwrap()
}

/// `command` where all of this is missing.
pub(super) fn without(lacks: &[Lack], command: &Command) -> Command {
    // What forbids that filters are put on comes last.
    let mut lacks = lacks.to_vec();
    lacks.sort_by_key(|lack| *lack == Lack::Seccomp);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words = words.map(|word| word.to_str().expect("tests write plain text").to_owned());
    let wrappers = lacks.iter().flat_map(|lack| lack.wrapper()).map(|word| (*word).to_owned());
    let plan = Plan { command: wrappers.chain(words).collect(), lacks };
    let mut launcher = Command::new("sh");
    launcher
        // What a test program says of its tests is not the command's output.
        .args([
            "-c",
            "exec \"$0\" harness::surrounding::entry --exact --nocapture --test-threads=1 3>&1 >/dev/null",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(PLAN, serde_json::to_string(&plan).unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => launcher.env(name, value),
            None => launcher.env_remove(name),
        };
    }
    launcher
}

/// Not a test: where the command starts.
#[test]
fn entry() {
    let Ok(plan) = std::env::var(PLAN) else { return };
    let Plan { lacks, command } = serde_json::from_str(&plan).unwrap();
    for (error, calls) in lacks.into_iter().flat_map(Lack::answers) {
        let (rest, these) = (SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()));
        let filter =
            SeccompFilter::new(calls, rest, these, std::env::consts::ARCH.try_into().unwrap()).unwrap();
        apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
    }
    let error =
        Command::new("sh").args(["-c", "exec \"$0\" \"$@\" >&3 3>&-"]).args(command).env_remove(PLAN).exec();
    panic!("the command cannot be started: {error}");
}
