"""What torchrun and Slurm say of a process, and what is made of it."""

import pytest

from structnet.distributed.launch import Launch, divided, go_alone, launched, refuse_several

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
}


def test_alone_unless_started_with_others():
    assert launched({}) == Launch() == launched({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"})
    assert Launch().is_first and Launch().machines == 1


def test_torchrun_and_slurm_are_understood():
    assert launched(TORCHRUN) == Launch(5, 8, 1, 4) and launched(TORCHRUN).machines == 2
    assert launched({**TORCHRUN, "TORCHELASTIC_RESTART_COUNT": "2"}).restarts == 2
    assert launched(SLURM) == Launch(3, 4, 1, 2)
    assert launched({**SLURM, "SLURM_STEP_NUM_TASKS": "1"}) == Launch()


@pytest.mark.parametrize(("changed", "said"), [
    ({"LOCAL_RANK": "x"}, "LOCAL_RANK='x', expected a number"),
    ({"WORLD_SIZE": "7"}, "7 processes with 4 of them on this machine"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        launched({**TORCHRUN, **changed})


def test_nodes_with_unequal_numbers_of_tasks_are_refused():
    with pytest.raises(ValueError, match="SLURM_STEP_TASKS_PER_NODE=3,1: start as many"):
        launched({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "3,1"})


def config(**trainer):
    return {"seed": 0, "trainer": {"lanes": None, "devices": "auto", **trainer}}


def test_a_step_has_a_batch_for_each_process_unless_it_is_given():
    two = Launch(0, 2, 0, 2)
    assert divided(config(), two)["trainer"]["lanes"] == 2
    assert divided(config(lanes=8), two)["trainer"]["lanes"] == 8
    # A run that one process began goes on with its steps, whoever takes it over.
    assert divided(config(), two, resumed=True)["trainer"]["lanes"] == 1
    assert divided(config(), Launch()) == config()


def test_another_number_of_processes_than_devices_is_refused():
    assert divided(config(devices=2), Launch(0, 2, 0, 2))["trainer"]["devices"] == 2
    for launch in (Launch(), Launch(0, 6, 0, 3)):
        with pytest.raises(ValueError, match=r"trainer.devices=2, but . of the processes"):
            divided(config(devices=2), launch)


def test_sweeps_are_started_by_one_process():
    refuse_several(Launch(), True)
    refuse_several(Launch(0, 2, 0, 2), False)
    with pytest.raises(ValueError, match="2 processes train one run together"):
        refuse_several(Launch(0, 2, 0, 2), True)


def test_one_process_does_alone_what_is_not_shared():
    for others in (TORCHRUN, SLURM):
        assert not go_alone(dict(others))
    first = {**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "x", "HOME": "/h"}
    assert go_alone(first) and first == {"HOME": "/h"}
    assert go_alone({})
